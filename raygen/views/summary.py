"""Render the closing summary of a run: the rows' fate, cost, paths, and commands to run next.

Pure functions from a RunSummary to a terminal's text or to JSON. Knows nothing of how a run works.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.core import count, duration, money, percent, plural
from raygen.runtime import Answers, Outcome, RejectCount
from raygen.trainer import Accuracy, TrainerState
from raygen.views.tables import facts_table, one_line

_TOP_REJECTS = 5
_HEADINGS = {
    "done": ("Done", "bold green"),
    "stopped": ("Stopped as asked", "bold yellow"),
    "interrupted": ("Interrupted", "bold yellow"),
    "too_many_failed": ("Too many rows failed", "bold red"),
    "failed": ("Failed", "bold red"),
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended.

    Of the dataset: `source` to `pending` count its source rows, `examples` its examples; `left_out`
    rows repeat an earlier row and don't count as source rows. `dollars` is the cost of all its
    runs, where prices are known, and `charged` what providers report of it; `thinking_tokens` of
    their output tokens were thoughts, which cost `thinking_dollars` of it.

    Of this run: tokens and `seconds`. `reused` calls were answered from earlier transcripts, which
    saved `saved_tokens`. `reports` counts the dataset's examples by the columns that ops report,
    such as the verdicts of checkers. `cut` are the nodes of whose answers many were cut off.
    `rejects` count rows dropped at the source and by each node. `message` gives the reason for an
    outcome other than "done". `lead_s` is how many seconds before the last commit of rows the
    trainer took its first step; `student` is the folder of its checkpoints, `curves` the folder for
    TensorBoard. `dashboard` and `metrics` are URLs of the Ray cluster.

    For the next commands: `reference` are the arguments of `raygen preview`, `again` those of
    `raygen apply`; `programs` is the prefix of the commands where they aren't on the PATH.
    """

    recipe: str
    reference: str
    plan: str
    dataset: str
    log: str
    outcome: Outcome
    source: int
    kept: int
    dropped: int
    failed: int
    pending: int
    examples: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    rejects: tuple[RejectCount, ...] = ()
    message: str = ""
    trainer: TrainerState | None = None
    lead_s: float | None = None
    student: str | None = None
    user_fault: bool = False
    again: str = ""
    left_out: int = 0
    programs: str = ""
    reused: int = 0
    saved_tokens: int = 0
    dollars: float | None = None
    thinking_tokens: int = 0
    thinking_dollars: float | None = None
    charged: float | None = None
    curves: str | None = None
    dashboard: str | None = None
    metrics: str | None = None
    reports: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cut: Answers = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The exit code: 0 done, 2 wrong input, 3 too many failed, else 1 (failed training too)."""
        if self.user_fault:
            return 2
        if self.outcome == "too_many_failed":
            return 3
        training_failed = self.trainer is not None and self.trainer.error is not None
        return 0 if self.outcome in ("done", "stopped") and not training_failed else 1

    def relative_to(self, folder: Path) -> RunSummary:
        """Copy the summary with paths relative to `folder`, where they lie in it."""
        return replace(
            self,
            dataset=_from(self.dataset, folder),
            log=_from(self.log, folder),
            student=_from(self.student, folder) if self.student else None,
            curves=_from(self.curves, folder) if self.curves else None,
        )


def render_summary(summary: RunSummary) -> RenderableType:
    """Render the summary for a terminal.

    Print it with `crop=False`: a command may be longer than a line, and must not be cut.
    """
    title, style = _HEADINGS[summary.outcome]
    if summary.outcome == "done" and summary.exit_code:
        title, style = "Generated, but the training failed", "bold red"
    parts: list[RenderableType] = [
        Text(),
        one_line(
            Text.assemble((title, style), f": {summary.recipe}, in {duration(summary.seconds)}")
        ),
    ]
    if summary.message:
        parts.append(one_line(summary.message))
    facts = facts_table()
    facts.add_row("rows", _rows(summary))
    for index, reject in enumerate(top_rejects(summary.rejects)):
        facts.add_row(
            "" if index else "rejects",
            Text(f"{count(reject.count)} at {reject.node}: {reject.reason}"),
        )
    facts.add_row("examples", count(summary.examples))
    for column, values in summary.reports.items():
        shares = ", ".join(f"{value} {count(number)}" for value, number in values.items())
        facts.add_row("", Text(f"{column}: {shares}"))
    for index, (node, (answers, cut)) in enumerate(summary.cut.items()):
        words = (
            f"{count(cut)} of {plural(answers, 'answer')} at {node}, by its max_tokens; raise it"
        )
        facts.add_row("" if index else "cut off", Text(words, style="yellow"))
    facts.add_row(
        "tokens", f"{count(summary.prompt_tokens)} in, {count(summary.output_tokens)} out"
    )
    if summary.reused:
        saved = f"{plural(summary.reused, 'call')}, {plural(summary.saved_tokens, 'token')} saved"
        facts.add_row("reused", saved)
    for name, words in _costs(summary):
        facts.add_row(name, words)
    if summary.trainer:
        for name, value in _training(summary, summary.trainer):
            facts.add_row(name, value)
    facts.add_row("dataset", Text(summary.dataset))
    facts.add_row("log", Text(summary.log))
    for name, where in _watching(summary).items():
        facts.add_row(name, Text(where))
    parts += [facts, Text(), Text("Next:", style="bold")]
    for command, why in next_commands(summary):
        parts.append(Text(f"  # {why}", style="dim"))
        parts.append(one_line(Text(f"  {command}", no_wrap=True, overflow="ignore")))
    return Group(*parts)


def to_json(summary: RunSummary) -> dict[str, Any]:
    """Convert the summary to JSON; the README documents the keys."""
    answer: dict[str, Any] = {
        "outcome": summary.outcome,
        "message": summary.message,
        "recipe": summary.recipe,
        "plan": summary.plan,
        "dataset": summary.dataset,
        "log": summary.log,
        "dashboard": summary.dashboard,
        "metrics": summary.metrics,
        "rows": {
            "source": summary.source,
            "kept": summary.kept,
            "dropped": summary.dropped,
            "failed": summary.failed,
            "pending": summary.pending,
            "left_out": summary.left_out,
        },
        "examples": summary.examples,
        "reports": {column: dict(values) for column, values in summary.reports.items()},
        "rejects": [
            {"node": reject.node, "reason": reject.reason, "count": reject.count}
            for reject in summary.rejects
        ],
        "tokens": {"prompt": summary.prompt_tokens, "output": summary.output_tokens},
        "cut": {node: {"answers": n, "cut": cut} for node, (n, cut) in summary.cut.items()},
        "reused": {"calls": summary.reused, "tokens": summary.saved_tokens},
        "dollars": summary.dollars,
        "thinking": {"tokens": summary.thinking_tokens, "dollars": summary.thinking_dollars},
        "charged": summary.charged,
        "seconds": round(summary.seconds, 3),
        "student": None,
        "next": [command for command, _ in next_commands(summary)],
    }
    if summary.trainer:
        answer["student"] = {
            "path": summary.student,
            "tensorboard": summary.curves,
            "checkpoint": summary.trainer.checkpoint,
            "steps": summary.trainer.step,
            "before": _accuracy_json(summary.trainer.before),
            "after": _accuracy_json(summary.trainer.after),
            "trained_while_generating": summary.trainer.trained_while_generating,
            "first_step_before_last_row_s": summary.lead_s,
            "error": summary.trainer.error,
        }
    return answer


def top_rejects(rejects: Sequence[RejectCount], top: int = _TOP_REJECTS) -> list[RejectCount]:
    """Select the `top` most frequent rejects, most frequent first."""
    return sorted(rejects, key=lambda r: (-r.count, r.node, r.reason))[:top]


def next_commands(summary: RunSummary) -> list[tuple[str, str]]:
    """Suggest three commands to run next, as (command, purpose)."""
    reference, folder = summary.reference, shlex.quote(summary.dataset)
    status = (f"{summary.programs}raygen status {folder}", "what has come of every row")
    preview = (
        f"{summary.programs}raygen preview {reference} -n 3",
        "prompts and completions of three rows",
    )
    read = f'import polars; print(polars.read_delta("{summary.dataset}/examples"))'
    examples = (f"{summary.programs}python -c {shlex.quote(read)}", "the examples as a table")
    path = str(Path(summary.dataset).absolute())
    if "://" not in summary.dataset and quote(path) != path:
        # polars doesn't read a table in a folder whose name has to be quoted in a URL.
        examples = (f"{summary.programs}raygen show {folder}", "the examples, one after the other")
    apply = f"{summary.programs}raygen apply {summary.again}"
    retry = (f"{apply} --retry failed", "runs the failed rows once more, and what is left")
    if summary.outcome == "too_many_failed":
        return [retry, status, preview]
    if summary.outcome != "done":
        return [(apply, "goes on with what is left"), status, preview]
    report = (f"{summary.programs}raygen report {folder}", "one page with rows, examples, figures")
    closer = retry if summary.failed else report
    if summary.exit_code:
        return [(apply, "trains the student on what is there"), examples, closer]
    if summary.trainer is None and summary.examples:
        fit = f"{summary.programs}streamtrain fit student.yaml --data {folder}"
        return [examples, closer, (fit, "trains a student on it")]
    return [examples, closer, status]


def _from(path: str, folder: Path) -> str:
    return str(Path(path).relative_to(folder)) if Path(path).is_relative_to(folder) else path


def _costs(summary: RunSummary) -> Iterator[tuple[str, str]]:
    """Yield what the dataset cost so far."""
    if summary.dollars is not None:
        yield "paid", f"{money(summary.dollars)} for this dataset so far"
    if summary.thinking_tokens:
        dollars = summary.thinking_dollars
        cost = "" if dollars is None else f", {money(dollars)} of what was paid"
        yield "thoughts", f"{count(summary.thinking_tokens)} tokens out so far{cost}"
    if summary.charged is not None:
        yield "charged", f"{money(summary.charged)} so far, as the provider reports it"


def _rows(summary: RunSummary) -> Text:
    return Text.assemble(
        f"{count(summary.source)} in: ",
        (f"{count(summary.kept)} kept", "green"),
        ", ",
        (f"{count(summary.dropped)} dropped", "yellow" if summary.dropped else ""),
        ", ",
        (f"{count(summary.failed)} failed", "red" if summary.failed else ""),
        f", {count(summary.pending)} pending",
        f"; {plural(summary.left_out, 'repeat')} left out" if summary.left_out else "",
    )


def _watching(summary: RunSummary) -> dict[str, str]:
    """List the addresses of curves, dashboard and metrics that the run has, by name."""
    addresses = {
        "curves": summary.curves and f"tensorboard --logdir {shlex.quote(summary.curves)}",
        "dashboard": summary.dashboard,
        "metrics": summary.metrics and f"{summary.metrics} (Prometheus finds the nodes by it)",
    }
    return {name: address for name, address in addresses.items() if address}


def _training(summary: RunSummary, state: TrainerState) -> list[tuple[str, Text]]:
    lines: list[tuple[str, Text]] = []
    if state.error:
        lines.append(("student", Text(f"training failed: {state.error}", style="red")))
    elif summary.student:
        lines.append(("student", Text(f"{plural(state.step, 'step')}, {summary.student}")))
    if state.before:
        lines.append(("before", Text(accuracy_words(state.before))))
    if state.after:
        lines.append(("after", Text(accuracy_words(state.after))))
    if summary.lead_s is not None and summary.lead_s > 0:
        lead = f"first step {duration(summary.lead_s)} before the last row"
        lines.append(("", Text(f"trained while generating: {lead}", style="cyan")))
    return lines


def accuracy_words(accuracy: Accuracy) -> str:
    """Format an accuracy with its n, its 95 % interval, and the unparsed answers if any."""
    low, high = accuracy.interval()
    line = (
        f"accuracy {percent(accuracy.share)} ({accuracy.correct} of {accuracy.total}, "
        f"95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
    )
    return line + (f", {accuracy.unparsed} not parsed" if accuracy.unparsed else "")


def _accuracy_json(accuracy: Accuracy | None) -> dict[str, Any] | None:
    if accuracy is None:
        return None
    return {
        "accuracy": accuracy.share,
        "correct": accuracy.correct,
        "total": accuracy.total,
        "unparsed": accuracy.unparsed,
        "interval": list(accuracy.interval()),
    }
