"""The small recipes of GSM8K and of programs, on scripted answers: what their graphs keep and drop.

tests/integration/test_recipes.py runs them as a user does, with the bundled model.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygen.dataset.records import RowResult
from raygen.dataset.storage import Folder
from raygen.engines.registry import start_engine
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.runtime.row_program import RowProgram
from raygen.sources import key_source

RECIPES = Path(__file__).parents[3] / "recipes"


def results(recipe: str, answers: list[Mapping[str, Any]], out: Path) -> list[RowResult]:
    """What becomes of the first two rows of a recipe whose engine gives these answers."""
    overrides = {
        "limit": "2",
        "n": "3",
        "engines.teacher.backend": "fake",
        "engines.teacher.args": json.dumps({"answers": answers}),
    }
    prepared = prepare(RecipeRequest(RECIPES / recipe, overrides, allow_code=True))
    plan, source = prepared.plan, prepared.recipe.source
    rows = key_source(source, plan.task, prepared.recipe.base, Folder.at(out)).read(range(2))

    async def run() -> list[RowResult]:
        engines = {name: await start_engine(spec, ()) for name, spec in plan.engines.items()}
        program = RowProgram(plan, engines)
        return [await program.run(key, data) for key, data in rows]

    return asyncio.run(run())


def reasons(result: RowResult) -> Counter[str]:
    return Counter(reject.reason for reject in result.rejects)


def test_solutions_that_reach_the_gold_answer_are_kept_once(tmp_path: Path) -> None:
    answers = [
        {"match": "Tom has 3 apples", "reply": ["3 + 2 = 5. The answer is 5."] * 2 + ["Nothing."]},
        {"match": "Mia has 8 balls", "reply": ["8 - 3 = 4. The answer is 4."] * 3},
    ]
    kept, dropped = results("gsm8k/gsm8k-small.yaml", answers, tmp_path)
    (example,) = kept.examples
    assert (example["answer"], example["solution"][-6:]) == ("5", "#### 5")
    assert "3 + 2 = 5" in example["rationale"]
    assert reasons(kept)["duplicate"] == 1
    assert dropped.examples == ()
    assert reasons(dropped) == {"wrong_answer": 3}


def test_programs_that_pass_their_tests_are_kept_once(tmp_path: Path) -> None:
    right = "def add(a, b):\n    return a + b"
    answers = [
        {"match": r"add\(a, b\)", "reply": [right, right, "def add(a, b):\n    return a"]},
        {"match": r"double\(n\)", "reply": ["def double(n):\n    return n"] * 3},
    ]
    kept, dropped = results("code/code-small.yaml", answers, tmp_path)
    (example,) = kept.examples
    assert example["program"].strip() == right
    assert example["correct"] is True
    assert reasons(kept)["duplicate"] == 1
    assert dropped.examples == ()
    assert dropped.rejects
