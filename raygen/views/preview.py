"""Render a preview: rows, prompts, completions, and their fate.

Long prompts are shortened, without the prefix shared with the node's previous prompt. Knows nothing
of how rows run.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from raygen.core import Reject, Row, Task, count, plural, visible_line
from raygen.dataset import Call
from raygen.inspection import marked
from raygen.runtime import NodeStep, Preview, PreviewedRow, chat_of
from raygen.views.tables import (
    SHOWN,
    facts_table,
    one_line,
    plain_table,
    row_table,
    shorten,
)

_LINE = 40
_STYLES = {"kept": "green", "dropped": "yellow", "failed": "red"}
_QUIET = ("sample", "variant", "view", "thinking")
"""Columns that add little to the completion that they come with."""
_SAME = 120
_HEAD = 200


def preview_view(preview: Preview, full: bool = False) -> RenderableType:
    """Render every row with its steps and fate; long texts are shortened unless `full`."""
    parts: list[RenderableType] = []
    prompts = Prompts(full)
    for index in range(len(preview.rows)):
        parts += _row(preview, index, full, prompts)
        parts.append(Text())
    return Group(*parts, *_totals(preview))


def _row(preview: Preview, index: int, full: bool, prompts: Prompts) -> list[RenderableType]:
    """Render a source row: columns, steps, fate."""
    row, task = preview.rows[index], preview.plan.task
    status = row.result.status
    title = Text.assemble(
        f"row {index + 1} of {len(preview.rows)}: ", (status, f"bold {_STYLES[status]}")
    )
    parts: list[RenderableType] = [
        Rule(title, align="left", style="dim"),
        row_table(row.data, task, full),
    ]
    calls: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in row.result.calls:
        calls[call.node, call.row].append(call)
    names = _names(row)
    for _, group in groupby(row.steps, key=lambda step: step.node):
        silent = []
        for step in group:
            step_calls = calls.pop((step.node, step.row.id), [])
            for call in step_calls:
                prompt = prompts.show(call)
                parts.append(_call(call, prompt, _verdicts(call, step_calls, step), full))
            if step_calls:
                parts.append(_outcomes(step, step_calls, task, full))
            else:
                silent.append(step)
        if silent:
            parts.append(_silent(preview, silent, names, full))
    # Calls of a step that failed, which has no outcome.
    left = [call for group in calls.values() for call in group]
    parts += [_call(call, prompts.show(call), {}, full) for call in left]
    return [*parts, _end(row, task, _shown(row), full)]


def _call(call: Call, prompt: str, verdicts: Mapping[int, str], full: bool) -> RenderableType:
    """Render a call: its prompt on the left, its completions with their fate on the right."""
    completions = json.loads(call.completions)
    noun = "completion" if call.kind == "generate" else "candidate"
    title = Text.assemble(
        (call.node, "bold"),
        f"  {call.engine}: {plural(len(completions), noun)}, "
        f"{count(call.prompt_tokens)} tokens in, {count(call.output_tokens)} out, "
        f"{call.seconds:.1f} s",
    )
    answers = Table.grid(padding=(0, 1, 0, 0))
    answers.add_column(style="cyan", no_wrap=True)
    answers.add_column(overflow="fold")
    for index, completion in enumerate(completions):
        text = _completion(call.kind, completion, full)
        if verdict := verdicts.get(index):
            style = "green" if verdict == "kept" else "yellow"
            text.append_text(one_line(Text(f" → {verdict}", style=style)))
        answers.add_row(str(index + 1), text)
    table = Table(box=box.SQUARE, expand=True, border_style="dim", header_style="dim")
    table.add_column("prompt", ratio=1, overflow="fold")
    table.add_column(f"{noun}s", ratio=1, overflow="fold")
    table.add_row(Text(prompt), answers)
    return Group(one_line(title), table)


def _completion(kind: str, completion: Mapping[str, Any], full: bool) -> Text:
    text = Text(_value(completion["text"].strip(), full))
    if completion.get("thinking"):
        thought = Text(f"(thinks: {_value(completion['thinking'].strip(), full)})\n", style="dim")
        text = thought.append_text(text)
    if kind != "generate":
        text.append(f"  {completion['logprob']:.2f}", style="dim")
    elif completion["finish_reason"] != "stop":
        text.append(f" [{completion['finish_reason']}]", style="yellow")
    return text


def _verdicts(call: Call, step_calls: Sequence[Call], step: NodeStep) -> dict[int, str]:
    """Map completions to their fate, where each has exactly one outcome."""
    if len(step_calls) > 1 or call.kind != "generate":
        return {}
    if len(json.loads(call.completions)) != len(step.outcomes):
        return {}
    return {
        index: outcome.reason if isinstance(outcome, Reject) else "kept"
        for index, outcome in enumerate(step.outcomes)
    }


def _outcomes(step: NodeStep, calls: Sequence[Call], task: Task, full: bool) -> Table:
    """Render the columns that a step added or changed, and its rejects.

    Texts that a completion shows already are left out.
    """
    completions = " ".join(call.completions for call in calls)
    table = facts_table(texts=True)
    for index, outcome in enumerate(step.outcomes):
        number = f" {index + 1}" if len(step.outcomes) > 1 else ""
        if isinstance(outcome, Reject):
            why = f"{outcome.reason}: {outcome.detail}" if outcome.detail else outcome.reason
            table.add_row(Text(f"  dropped{number}", style="yellow"), Text(_value(why, full)))
            continue
        new = {
            name: value
            for name, value in outcome.data.items()
            if name not in _QUIET
            and step.row.data.get(name) != value
            and (name == task.stem or not _is_in(value, completions))
        }
        table.add_row(f"  made{number}", _columns(new, outcome.data, task, step.row.data, full))
    return table


def _is_in(value: Any, completions: str) -> bool:
    """Tell whether a value is a text in the completions, which are JSON."""
    return isinstance(value, str) and json.dumps(value, ensure_ascii=False)[1:-1] in completions


def _columns(
    new: Mapping[str, Any],
    row: Mapping[str, Any],
    task: Task,
    before: Mapping[str, Any],
    full: bool,
) -> Text:
    """Render columns as `name: value`: each long one on a line, the others on the last line."""
    lines: list[Text] = []
    short: list[Text] = []
    for name, value in new.items():
        if name == "original" or value is None:
            continue  # the changed text shows what it was
        # Changes are marked in the complete text, which shortening would spoil.
        uncut = full or not isinstance(value, str) or name == task.stem
        shown = marked(name, value if uncut else shorten(value), row, task, before)
        name = visible_line(name)
        if "\n" in shown.plain:
            shown = Text("\n  ").join(shown.split("\n"))
            column = Text.assemble(f"{name}:\n  ", shown)
        else:
            column = Text.assemble(f"{name}: ", shown)
        (lines if len(column) > _LINE or "\n" in column.plain else short).append(column)
    return Text("\n").join([*lines, *([Text(", ").join(short)] if short else [])])


def _names(row: PreviewedRow) -> dict[str, str]:
    """Name each intermediate row by the node that made it and its number there."""
    numbers: Counter[str] = Counter()
    names = {}
    for step in row.steps:
        for number, outcome in enumerate(step.outcomes):
            if isinstance(outcome, Row):
                start = numbers[step.node]
                names[outcome.id] = f"{step.node} {start + number + 1}"
        numbers[step.node] += len(step.outcomes)
    return names


def _silent(
    preview: Preview, steps: Sequence[NodeStep], names: Mapping[str, str], full: bool
) -> RenderableType:
    """Render the steps of a node without calls on one line, and its rejects."""
    node = next(node for node in preview.plan.nodes if node.name == steps[0].node)
    rows_out = sum(isinstance(outcome, Row) for step in steps for outcome in step.outcomes)
    rows_in = sum(len(step.rows_in) for step in steps)
    table = facts_table()
    dropped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for step in steps:
        for index, outcome in enumerate(step.outcomes):
            if isinstance(outcome, Reject):
                # A group op returns one outcome per row in, in their order, or unrelated ones.
                aligned = len(step.outcomes) == len(step.rows_in)
                source = step.rows_in[index] if aligned else step.row
                dropped[outcome.reason, outcome.detail].append(names.get(source.id, "source"))
    for (reason, detail), rows in dropped.items():
        line = ", ".join(dict.fromkeys(rows)) + (f": {_value(detail, full)}" if detail else "")
        table.add_row(Text(f"  {reason}", style="yellow"), Text(line))
    head = Text.assemble((node.name, "bold"), f"  {node.op.name}: {rows_in} in, {rows_out} kept")
    head = one_line(head)
    return Group(head, table) if table.row_count else head


def _shown(row: PreviewedRow) -> set[str]:
    """Collect the columns that steps with calls have shown."""
    with_calls = {(call.node, call.row) for call in row.result.calls}
    return {
        name
        for step in row.steps
        if (step.node, step.row.id) in with_calls
        for outcome in step.outcomes
        if isinstance(outcome, Row)
        for name in outcome.data
    }


def _end(row: PreviewedRow, task: Task, shown: set[str], full: bool) -> Table:
    """Render the row's examples, or why it has none."""
    table = facts_table(texts=True)
    for example in row.result.examples:
        columns = _example(example, row.data, task, shown, full)
        table.add_row(Text("kept", style="green"), columns)
    if row.result.error:
        table.add_row(Text("failed", style="red"), Text(row.result.error))
    elif not row.result.examples:
        reasons = Counter(f"{r.node}: {r.reason}" for r in row.result.rejects)
        why = ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in reasons.items())
        table.add_row(Text("dropped", style="yellow"), Text(why or "nothing came out"))
        if not row.steps:  # a source row that doesn't fit its task
            for reject in row.result.rejects:
                table.add_row("", Text(reject.detail))
    return table


def _example(
    example: Mapping[str, Any], source: Mapping[str, Any], task: Task, shown: set[str], full: bool
) -> Text:
    """Render the columns that the graph made, without numbers and lists that a step has shown."""
    new = {
        name: value
        for name, value in example.items()
        if name not in ("id", "node") and not (name in source and source[name] == value)
        if not (name in shown and isinstance(value, float | bool | Mapping | list))
    }
    return Text("\n").join([one_line(example["node"]), _columns(new, example, task, source, full)])


def _totals(preview: Preview) -> list[RenderableType]:
    results = [row.result for row in preview.rows]
    fates = Counter(result.status for result in results)
    examples = sum(len(result.examples) for result in results)
    tokens = sum(call.output_tokens for result in results for call in result.calls)
    line = Text(
        f"{plural(len(results), 'row')}: {fates['kept']} kept, {fates['dropped']} dropped, "
        f"{fates['failed']} failed; {plural(examples, 'example')}, {count(tokens)} tokens out. "
        "No dataset was written.",
        style="bold",
    )
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        for reject in result.rejects:
            reasons[reject.node][reject.reason] += 1
    if not reasons:
        return [line]
    table = plain_table("dropped at", "for")
    for node, counts in reasons.items():
        reasons_of_node = ", ".join(f"{reason} {times}" for reason, times in counts.most_common())
        table.add_row(Text(node), Text(reasons_of_node))
    return [line, table]


def _value(value: Any, full: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if full else shorten(text)


class Prompts:
    """Formats prompts in the order in which they are shown."""

    def __init__(self, full: bool) -> None:
        self._full = full
        self._last: dict[str, str] = {}

    def show(self, call: Call) -> str:
        """Format a call's prompt, without a long prefix shared with the node's previous prompt."""
        text = _text(call.prompt)
        before = self._last.get(call.node, "")
        self._last[call.node] = text
        if self._full:
            return text
        pairs = zip(before.splitlines(True), text.splitlines(True), strict=False)
        same = sum(len(line) for line, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if _SAME < same < len(text):
            return f"[... {count(same)} characters as above ...]\n{_by_lines(text[same:])}"
        return _by_lines(text)


def _text(prompt: str) -> str:
    turns = chat_of(prompt)
    if turns is None:
        return prompt
    shown = (f"{turn['role']}:\n{textwrap.indent(turn['content'], '  ')}" for turn in turns)
    return "\n".join(shown)


def _by_lines(text: str) -> str:
    """Cut lines from the middle of a prompt, whose question is at the end."""
    if len(text) <= SHOWN:
        return text
    head = text[: text.rfind("\n", 0, _HEAD) + 1]
    start = text.find("\n", len(text) - (SHOWN - _HEAD)) + 1
    if not head or not start:
        return shorten(text)
    missing = start - len(head)
    return f"{head}[... {count(missing)} characters more; --full shows them ...]\n{text[start:]}"
