"""A small dataset of a real recipe in a folder, written by hand in place of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygen.dataset.commit import Committer
from raygen.dataset.records import RejectedRow, RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.lock import Lock, LockedEngine, LockedSource
from raygen.sources import key_source

RECIPE = """
recipe: small questions
version: 1
description: Rationales for ${kind} questions.
license: CC-BY-4.0
authors: [Ada Lovelace, Charles Babbage]
params: {kind: {type: str, default: easy}}
source: {path: q.jsonl, license: MIT}
task: multiple_choice
engines:
  teacher: {model: org/teacher, revision: abc123, backend: fake, license: Apache-2.0,
            args: {answers: ["Cold. So the answer is: (b)"]}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: 2}
  right: {op: filter, from: rationales, where: "predicted == answer", reason: wrong_answer}
  negatives: {op: negative_view, from: source, engine: teacher, emit: each}
output: {from: [right, negatives], path: ../far/out}
train: {student: s, version: 1, model: org/student, evaluate: {report: held_out.jsonl}}
"""
ROWS = 4


def lock(commit: str | None = None) -> str:
    """A lock file that pins the teacher's model."""
    teacher = LockedEngine(model="org/teacher", commit=commit, backend="fake")
    return Lock(
        lock=1,
        recipe="shared",
        plan="plan",
        source=LockedSource(path="q.jsonl", rows=ROWS, content="c"),
        engines={"teacher": teacher},
        nodes={},
        packages={},
    ).to_text()


def question(row: int) -> dict[str, Any]:
    return {"question": f"What is cold, {row}?", "choices": ["fire", "snow", "tea"], "answer": 1}


def example(row: int, name: str, **columns: Any) -> dict[str, Any]:
    base = {"id": f"id-{row}-{name}", "node": "right", **question(row), "view": "positive"}
    told = {"rationale": f"Snow is cold ({name}).", "predicted": 1, "label": 1, "refuted": None}
    return {**base, **told, **columns}


def examples_of(row: int) -> list[dict[str, Any]]:
    refuting = {"node": "negatives", "view": "negative", "label": None, "refuted": "fire"}
    return [
        example(row, "a"),
        example(row, "b", rationale="snow  is COLD (a)."),
        example(row, "c", rationale="Fire is hot.", **refuting),
    ]


def write_dataset(
    base: Path,
    *,
    recipe: str = RECIPE,
    keys: Sequence[int] = range(ROWS - 1),
    run: str = "run-1",
    answer: str | None = "snow",
) -> Folder:
    """The rows `keys` of a recipe's dataset in `base`; the last row of its source is dropped."""
    base.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({**question(row), "answer": answer}) + "\n" for row in range(ROWS)]
    (base / "q.jsonl").write_text("".join(rows))
    (base / "recipe.yaml").write_text(recipe)
    (base / "held_out.jsonl").write_text(json.dumps({**question(99), "answer": "snow"}) + "\n")
    prepared = prepare(RecipeRequest(base / "recipe.yaml"))
    plan = prepared.plan
    folder = Folder.at(base / "out")
    committer = Committer(folder, plan.hash, plan.columns, run)
    source = key_source(prepared.recipe.source, plan.task, base, folder)
    committer.start({"source": ROWS, "source_file": source.name})
    for row in keys:
        last = row == ROWS - 1
        examples = [] if last else examples_of(row)
        if answer is None:
            examples = [{**each, "answer": None} for each in examples]
        kept = 0 if last else 2
        counts = {"rationales": (1, 2, 0), "right": (2, kept, 2 - kept), "negatives": (1, 1, 0)}
        rejects = (RejectedRow("right", "wrong_answer", "no"),) * 2 if last else ()
        key = source.keys[row]
        result = RowResult(
            key, "dropped" if last else "kept", tuple(examples), rejects, (), None, 0.1,
            counts,
        )  # fmt: skip
        committer.commit([write_block(folder, [result], plan.hash, plan.columns)])
    committer.finish("end")
    folder.write_text("recipe.yaml", prepared.recipe.frozen())
    folder.write_text("plan.json", json.dumps(plan.to_json()))
    return folder
