"""Datasets of real ops on the fake engine, written without Ray: what `raygen apply` would leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raygen.dataset.commit import Committer
from raygen.dataset.records import RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from raygen.engines.registry import start_engine
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare
from raygen.runtime.row_program import RowProgram
from raygen.sources import key_source

QUIZ = """\
recipe: quiz
version: 1
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher:
    model: scripted
    backend: fake
    args:
      answers:
        - "Snow is cold. So the answer is: (b)"
        - "Sand is dry. So the answer is: (a)"
        - "I do not know."
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: 3, keep: all}
  short: {op: filter, from: rationales, where: "question | length < 24", reason: long}
  right: {op: filter, from: short, where: predicted == answer, reason: wrong_answer}
output: {from: right, path: out}
"""
"""Every question has an answer that is right, one that is wrong and one that can't be read."""


def questions(number: int) -> list[dict[str, Any]]:
    """Questions 10, 20, ... are longer than the recipe keeps."""
    return [
        {
            "question": f"What falls {'in winter ' if i % 10 == 0 else ''}#{i}?",
            "choices": ["sand", "snow"],
            "answer": "snow",
        }
        for i in range(1, number + 1)
    ]


def write_recipe(folder: Path, text: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A recipe and its source."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def make_dataset(recipe: Path, *, run: str = "run-1") -> Path:
    """The whole dataset of a recipe on fake engines."""
    prepared = prepare(RecipeRequest(recipe))
    plan, folder = prepared.plan, Folder.at(prepared.output)
    source = key_source(prepared.recipe.source, plan.task, prepared.recipe.base, folder)
    results = asyncio.run(_run(prepared, source.read(range(source.total))))
    committer = Committer(folder, plan.hash, plan.columns, run)
    committer.start({"source": source.total, "source_file": source.name})
    committer.commit([write_block(folder, results, plan.hash, plan.columns)])
    committer.finish("end")
    folder.write_text("plan.json", json.dumps(plan.to_json()))
    return Path(folder.uri)


async def _run(prepared: PreparedRecipe, rows: Sequence[tuple[str, Any]]) -> list[RowResult]:
    engines = {name: await start_engine(s, ()) for name, s in prepared.plan.engines.items()}
    program = RowProgram(prepared.plan, engines)
    return [await program.run(key, data) for key, data in rows]
