"""A small recipe, a file for it, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.core.errors import ProblemsError
from raygen.recipe.load import load_recipe

RECIPE = """\
recipe: test
version: 1
description: A test.
params:
  n: {type: int, default: 4, min: 1, max: 64, help: rationales}
  t: {type: float, default: 1}
  model: {type: str, default: tiny, choices: [tiny, big]}
  on: {type: bool, default: true}
source:
  path: data/x.jsonl
  limit: 200
  columns: {question: q}
task: multiple_choice
engines:
  teacher: {model: "org/${model}", revision: abc, gpus: 1, price: {input: 1, output: 2}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: "${n}", temperature: "${t}"}
  noted: {op: map, from: rationales, set: {note: "'n=${n} on=${on} $${raw}'"}}
output:
  from: [noted]
  path: out/${model}-${n}
"""


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    """Write a text into a folder; its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path, overrides: dict[str, str] | None = None) -> list[str]:
    """What is wrong with the recipe in a file, without its path."""
    with pytest.raises(ProblemsError) as caught:
        load_recipe(path, overrides)
    return [str(p).removeprefix(f"{path}:") for p in caught.value.problems]
