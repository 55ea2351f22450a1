"""Render the page: sections, cards, filters, and a content security policy.

The policy admits this package's style and script by their hashes; nothing else runs, and nothing is
loaded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from raygen.core import count, duration, percent, plural
from raygen.inspection.opened import OpenedDataset, open_dataset
from raygen.inspection.report.cards import FIELD, Card, card_of
from raygen.inspection.report.distributions import spread_section
from raygen.inspection.report.examples import MOST, RowSample, choose_rows
from raygen.inspection.report.run_sections import effort_section, plan_section, rows_section
from raygen.inspection.report.student_sections import accuracy_section, training_section
from raygen.inspection.report.template import render
from raygen.inspection.report.training_runs import read_student_runs, runs_of_dataset

_POLICY = (
    "default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'; "
    "base-uri 'none'; form-action 'none'"
)
_FILTERS = ("status", "node", "view", "variant", "reason")


def render_report(folder: str, students: Sequence[Path] = ()) -> str:
    """Render the report of a dataset as HTML.

    `students` are folders of training runs; by default those in the dataset's `student/`. Raises
    DatasetError where the folder has no dataset, UserError where a run can't be read.
    """
    dataset = open_dataset(folder)
    runs = read_student_runs(students or runs_of_dataset(dataset.folder.local))
    chosen = choose_rows(dataset)
    cards = [card_of(row, dataset.task) for row in chosen.rows]
    sections = (
        rows_section(dataset),
        spread_section(dataset),
        effort_section(dataset),
        plan_section(dataset),
        training_section(runs),
        accuracy_section(runs),
    )
    style, script = _resource("page.css"), _resource("page.js")
    return render(
        "page.html.j2",
        policy=_POLICY.format(style=_hash(style), script=_hash(script)),
        style=style,
        script=script,
        name=dataset.plan["recipe"],
        facts=_headlines(dataset),
        tiles=_tiles(dataset),
        sections=[section for section in sections if section is not None],
        cards=cards,
        choices=_choices(cards),
        sampled=_sampled(chosen),
    )


def is_report(text: str) -> bool:
    """Tell whether a file's text is a page that `render_report` rendered."""
    return ": raygen report</title>" in text.partition("<style>")[0]


def _headlines(dataset: OpenedDataset) -> list[tuple[str, str]]:
    """List the task, engines, last run and plan as (name, value)."""
    plan, status = dataset.plan, dataset.status
    engines = [
        f"{name}: {engine['model']}" + (f" at {engine['revision']}" if engine["revision"] else "")
        for name, engine in plan["engines"].items()
    ]
    return [
        ("task", plan["task"]),
        *(("engine", engine) for engine in engines),
        ("last run", status.ended or "running, or killed"),
        ("plan", status.plan),
    ]


def _tiles(dataset: OpenedDataset) -> list[tuple[str, str, str, str]]:
    """Build the tiles at the top of the page: CSS class, number, what it counts, detail."""
    status = dataset.status
    source = status.source or 1
    tiles = [
        ("", count(status.source), "source rows", ""),
        ("kept", count(status.kept), "kept", percent(status.kept / source)),
        ("dropped", count(status.dropped), "dropped", percent(status.dropped / source)),
        ("failed", count(status.failed), "failed", "") if status.failed else None,
        ("", count(status.pending), "pending", "") if status.pending else None,
        ("", count(status.examples), "examples", ""),
        ("", count(status.output_tokens), "tokens written", f"{count(status.prompt_tokens)} read"),
        ("", duration(status.wall), "on the clock", "") if status.wall is not None else None,
    ]
    if status.reused:
        saved = plural(status.saved_tokens, "token")
        tiles.append(("", count(status.reused), "calls reused", f"{saved} saved"))
    return [tile for tile in tiles if tile is not None]


def _choices(cards: Sequence[Card]) -> dict[str, list[str]]:
    """Collect the options of each filter that has more than one."""
    options = {name: {getattr(card, name) for card in cards} for name in _FILTERS}
    return {name: sorted(values - {""}) for name, values in options.items() if len(values) > 1}


def _sampled(chosen: RowSample) -> str:
    examples = sum(row.status == "kept" for row in chosen.rows)
    others = len(chosen.rows) - examples
    note = f"{count(examples)} of {plural(chosen.examples, 'example')}"
    if chosen.rejects:
        note += f" and {count(others)} of {plural(chosen.rejects, 'row')} that were dropped"
    if examples < chosen.examples or others < chosen.rejects:
        note += (
            f": at most {MOST} of each are in this file, spread evenly over nodes, views and "
            "reasons"
        )
    note += f". Texts are cut after {count(FIELD)} characters."
    return f"{note} One that was dropped shows its source row." if chosen.rejects else note


def _resource(name: str) -> str:
    return files("raygen.inspection.report").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    digest: Any = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
