"""Preview: a few source rows through the whole graph, in this process, and how that reads.

Knows nothing of Ray or of datasets on disk; nothing that it makes is kept.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from raygen.dataset.folder import Folder
from raygen.dataset.tables import Call, RowResult
from raygen.engines.base import Engine, EngineSpec
from raygen.engines.registry import start_engine
from raygen.figures import count, plural
from raygen.plan import Plan
from raygen.program import RowProgram
from raygen.recipe import Recipe
from raygen.sources import key_source
from raygen.task import Task, letter

_SHOWN = 600
_LINE = 40
_STYLES = {"kept": "green", "dropped": "yellow", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Previewed:
    """A source row, as the task normalised it, and what became of it."""

    data: Mapping[str, Any]
    result: RowResult


def first_rows(recipe: Recipe, plan: Plan, n: int) -> list[tuple[str, Mapping[str, Any]]]:
    """The first n source rows with their keys. Raises SourceError."""
    spec = recipe.source
    if spec.sample is None:
        spec = spec.model_copy(update={"limit": min(n, spec.limit or n)})
    with tempfile.TemporaryDirectory(prefix="raygen-preview-") as folder:
        source = key_source(spec, plan.task, recipe.base, Folder.at(folder))
        return list(source.read(range(min(n, source.total))))


async def run_rows(plan: Plan, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Previewed]:
    """Run the plan for keyed rows, all at once, on engines that are started and closed here.

    Raises EngineError where an engine can't start or is lost.
    """
    engines: dict[str, Engine] = {}
    try:
        for spec, devices in _with_devices(plan):
            engines[spec.name] = await start_engine(spec, devices)
        program = RowProgram(plan, engines)
        results = await asyncio.gather(*(program.run(key, data) for key, data in rows))
    finally:
        for engine in engines.values():
            await engine.close()
    return [Previewed(data, result) for (_, data), result in zip(rows, results, strict=True)]


def render(plan: Plan, rows: Sequence[Previewed], full: bool = False) -> RenderableType:
    """The rows for a terminal of 80 columns or more; long texts are shortened unless `full`."""
    parts: list[RenderableType] = []
    for index, row in enumerate(rows):
        parts += [_heading(row, index + 1, len(rows)), _source(row.data, plan.task, full)]
        for call in row.result.calls:
            parts.append(_call(call, full))
        parts += [_fate(row, full), Text()]
    parts.append(_totals([row.result for row in rows]))
    return Group(*parts)


def to_json(rows: Sequence[Previewed]) -> list[dict[str, Any]]:
    """The rows for a program: what came in, every call, what came out."""
    answer = []
    for row in rows:
        result = asdict(row.result)
        for call in result["calls"]:
            call["prompt"] = _chat(call["prompt"]) or call["prompt"]
            call["sampling"] = json.loads(call["sampling"])
            call["completions"] = json.loads(call["completions"])
        answer.append({"data": dict(row.data), **result})
    return answer


def shorten(text: str, limit: int = _SHOWN) -> str:
    """A text cut in the middle, with a note of how much is missing."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2].rstrip(), text[-(limit // 2) :].lstrip()
    missing = len(text) - len(head) - len(tail)
    return f"{head}\n[... {count(missing)} characters more; --full shows them ...]\n{tail}"


def _with_devices(plan: Plan) -> list[tuple[EngineSpec, tuple[str, ...]]]:
    """The engines that nodes use, each with GPUs of its own."""
    used = {node.engine for node in plan.nodes}
    placed, first = [], 0
    for name, spec in plan.engines.items():
        if name in used:
            placed.append((spec, tuple(map(str, range(first, first + spec.gpus)))))
            first += spec.gpus
    return placed


def _heading(row: Previewed, number: int, total: int) -> Rule:
    status = row.result.status
    title = Text.assemble(f"row {number} of {total}: ", (status, f"bold {_STYLES[status]}"))
    return Rule(title, align="left", style="dim")


def _source(data: Mapping[str, Any], task: Task, full: bool) -> Table:
    """The row's columns, those of the task first; the gold option is marked."""
    table = _grid()
    for name in (*task.columns, *(name for name in data if name not in task.columns)):
        if name == "choices" and task.name == "multiple_choice":
            for index, choice in enumerate(data["choices"]):
                mark = "  (gold)" if index == data["answer"] else ""
                label = name if index == 0 else ""
                table.add_row(label, Text(f"{letter(index)}. {choice}{mark}"))
        elif name != task.answer or task.name != "multiple_choice":
            table.add_row(name, Text(_value(data.get(name), full)))
    return table


def _call(call: Call, full: bool) -> RenderableType:
    """One engine call: the prompt on the left, its completions on the right."""
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
        answers.add_row(str(index + 1), _completion(completion, full))
    table = Table(box=box.SQUARE, expand=True, border_style="dim", header_style="dim")
    table.add_column("prompt", ratio=1, overflow="fold")
    table.add_column(f"{noun}s", ratio=1, overflow="fold")
    table.add_row(Text(_prompt(call.prompt, full)), answers)
    return Group(title, table)


def _completion(completion: Mapping[str, Any], full: bool) -> Text:
    text = Text(_value(completion["text"].strip(), full))
    if completion["finish_reason"] == "score":
        text.append(f"  {completion['logprob']:.2f}", style="dim")
    elif completion["finish_reason"] != "stop":
        text.append(f" [{completion['finish_reason']}]", style="yellow")
    return text


def _fate(row: Previewed, full: bool) -> Table:
    """The examples that the row gave, and what was dropped on the way, and why."""
    table = _grid()
    for example in row.result.examples:
        table.add_row(Text("kept", style="green"), Text(_example(example, row.data, full)))
    rejects = Counter((r.node, r.reason, r.detail) for r in row.result.rejects)
    for (node, reason, detail), times in rejects.items():
        words = f"{node}: {reason}" + (f" ({times} times)" if times > 1 else "")
        if detail:
            words += f"\n{_value(detail, full)}"
        table.add_row(Text("dropped", style="yellow"), Text(words))
    if row.result.error:
        table.add_row(Text("failed", style="red"), Text(row.result.error))
    return table


def _example(example: Mapping[str, Any], source: Mapping[str, Any], full: bool) -> str:
    """The columns that the graph added: long texts on lines of their own, the rest on the last."""
    made = {
        name: f"{name}: {_value(value, full)}"
        for name, value in example.items()
        if name not in ("id", "node") and name not in source and value is not None
    }
    long = [words for words in made.values() if len(words) > _LINE]
    short = [words for words in made.values() if len(words) <= _LINE]
    return "\n".join([example["node"], *long, ", ".join(short)]).rstrip()


def _totals(results: Sequence[RowResult]) -> Text:
    fates = Counter(result.status for result in results)
    examples = sum(len(result.examples) for result in results)
    tokens = sum(call.output_tokens for result in results for call in result.calls)
    return Text(
        f"{plural(len(results), 'row')}: {fates['kept']} kept, {fates['dropped']} dropped, "
        f"{fates['failed']} failed; {plural(examples, 'example')}, {count(tokens)} tokens out. "
        "Nothing was written.",
        style="bold",
    )


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _value(value: Any, full: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if full else shorten(text)


def _prompt(prompt: str, full: bool) -> str:
    turns = _chat(prompt)
    if turns is None:
        return _value(prompt, full)
    shown = (f"{turn['role']}:\n{textwrap.indent(turn['content'], '  ')}" for turn in turns)
    return _value("\n".join(shown), full)


def _chat(prompt: str) -> list[dict[str, str]] | None:
    """The turns of a chat prompt, None for a completion prompt."""
    if not prompt.startswith('[{"role"'):
        return None
    try:
        turns: list[dict[str, str]] = json.loads(prompt)
    except ValueError:
        return None
    return turns
