"""The preview: rows through a graph on the fake engine, and how they read in 80 columns."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from raygen.core.row import Row
from raygen.engines.base import Engine, EngineSpec, EngineUnavailableError, Sampling
from raygen.engines.registry import start_engine
from raygen.ops.base import Context
from raygen.planning.history import last_preview
from raygen.planning.plan import Plan, make_plan
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.load import load_recipe
from raygen.recipe.recipe import Recipe
from raygen.runtime import preview_run as module
from raygen.runtime.preview_run import Preview, first_rows, preview, run_rows
from raygen.sources import scan_columns
from raygen.views import preview_view
from raygen.views.tables import shorten

RECIPE = """
recipe: small
version: 1
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher: {model: scripted, backend: fake, args: {answers: ANSWERS}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: 3, chat: CHAT}
  correct: {op: filter, from: rationales, where: predicted == answer, reason: wrong_answer}
output: {from: correct, path: out}
"""
GOOD = "It falls in flakes when it is cold. So the answer is: (b)"
BAD = "It is dry and yellow. So the answer is: (a)"
SILENT = "I could not say"


def plan_in(
    folder: Path, answers: list[Any], rows: int = 2, chat: bool = False
) -> tuple[Recipe, Plan]:
    question = {"choices": ["sand", "snow"], "answer": "snow"}
    lines = [json.dumps({"question": f"What falls {i}?", **question}) for i in range(rows)]
    (folder / "q.jsonl").write_text("\n".join(lines) + "\n")
    text = RECIPE.replace("ANSWERS", json.dumps(answers)).replace("CHAT", str(chat).lower())
    (folder / "recipe.yaml").write_text(text)
    recipe = load_recipe(folder / "recipe.yaml")
    return recipe, make_plan(recipe, scan_columns(recipe.source, recipe.base))


def text_of(done: Preview, full: bool = False) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(preview_view(done, full))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


async def test_a_row_shows_prompt_completions_and_fate_within_80_columns(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD, BAD, SILENT])
    rows = await run_rows(plan, first_rows(recipe, plan, 1))
    text = text_of(rows)
    assert max(map(len, text.splitlines())) == 80
    for piece in (
        "row 1 of 1: kept",
        "question  What falls 0?",
        "          B. snow  (gold)",
        "rationales  teacher: 3 completions,",
        "│ prompt                                │ completions                          │",
        "answer is: (b)",
        "\u2192 no_answer",
        "no_answer: names no single option: 'I could not say'",
        "predicted: B. snow, label: B. snow,",
        "correct  filter: 2 in, 1 kept",
        ": not (predicted == answer)",
        "kept  correct",
        "      rationale: It falls in flakes when it is cold.",
        "1 row: 1 kept, 0 dropped, 0 failed; 1 example,",
        "rationales  no_answer 1",
        "correct     wrong_answer 1",
    ):
        assert piece in text


async def test_equal_rejects_are_counted_and_a_dropped_row_is_called_so(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [BAD])
    text = text_of(await run_rows(plan, first_rows(recipe, plan, 9)))
    assert "row 2 of 2: dropped" in text
    assert "dropped  correct: wrong_answer (3 times)" in text
    assert "wrong_answer  rationales 1, rationales 2, rationales 3:" in text
    assert "2 rows: 0 kept, 2 dropped, 0 failed; 0 examples" in text


async def test_a_chat_prompt_reads_as_turns(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD], chat=True)
    rows = await run_rows(plan, first_rows(recipe, plan, 1))
    assert "│ user:" in text_of(rows)
    assert rows.to_json()[0]["calls"][0]["prompt"][0]["role"] == "user"


async def test_long_texts_are_shortened_unless_full(tmp_path: Path) -> None:
    long = "start " + "snowflakes " * 90 + "end. So the answer is: (b)"
    recipe, plan = plan_in(tmp_path, [long], rows=1)
    rows = await run_rows(plan, first_rows(recipe, plan, 1))
    assert "--full" in text_of(rows)
    assert "--full" not in text_of(rows, full=True)
    assert text_of(rows, full=True).count("snowflakes") > 90


async def test_json_has_every_part(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD, BAD], rows=1)
    (row,) = json.loads(json.dumps((await run_rows(plan, first_rows(recipe, plan, 1))).to_json()))
    assert row["data"]["answer"] == 1
    assert row["status"] == "kept"
    assert len(row["calls"][0]["completions"]) == 3
    assert {example["predicted"] for example in row["examples"]} == {1}
    assert row["rejects"][0]["reason"] == "wrong_answer"


async def test_a_prompt_that_begins_as_the_last_one_is_cut_there(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD])
    rows = await run_rows(plan, first_rows(recipe, plan, 2))
    node = plan.nodes[0]
    worked = "Q: Where does a fish live, and where would a bird rather be?\n" * 4
    long = node.params.model_copy(update={"prompt": worked + "Q: {{ question }}\nA:"})
    plan = replace(plan, nodes=(replace(node, params=long), *plan.nodes[1:]))
    rows = await run_rows(plan, first_rows(recipe, plan, 2))
    text = text_of(rows)
    assert text.count("[... 244 characters as above ...]") == 1
    assert "Q: What falls 1?" in text
    assert "as above" not in text_of(rows, full=True)


async def test_a_step_is_tied_to_its_rows_and_outcomes(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD, BAD, SILENT], rows=1)
    (row,) = (await run_rows(plan, first_rows(recipe, plan, 1))).rows
    assert [step.node for step in row.steps] == ["rationales", "correct", "correct"]
    first = (await run_rows(plan, first_rows(recipe, plan, 1))).to_json()[0]["steps"][0]
    assert sorted(made["predicted"] for made in first["made"]) == [0, 1]
    (reject,) = first["rejects"]
    answer = row.result.calls[0].completions
    assert json.loads(answer)[reject["outcome"]]["text"] == SILENT


async def test_a_preview_runs_while_a_loop_runs_and_leaves_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    plan_in(tmp_path, [GOOD, BAD, SILENT])
    done = preview(prepare(RecipeRequest(tmp_path / "recipe.yaml")), 2)
    assert [row.result.status for row in done.rows] == ["kept", "kept"]
    kept = last_preview("small")
    assert kept is not None
    assert (kept.rows, kept.nodes["rationales"].dropped) == (2, 2)


async def test_a_failed_row_shows_its_requests(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD], rows=1)
    broken = replace(plan.nodes[0].op, run=_asks_and_fails)
    plan = replace(plan, nodes=(replace(plan.nodes[0], op=broken), plan.nodes[1]))
    text = text_of(await run_rows(plan, first_rows(recipe, plan, 1)))
    assert "row 1 of 1: failed" in text
    assert "rationales  teacher: 1 completion" in text
    assert "failed  rationales: KeyError" in text


async def _asks_and_fails(row: Row, params: Any, ctx: Context) -> list[Row]:
    await ctx.generate("Why?", Sampling())
    raise KeyError("no such column")


async def test_engines_start_on_the_gpus_that_are_left_to_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, plan = plan_in(tmp_path, [GOOD])
    spec = replace(plan.engines["teacher"], gpus=1)
    given: list[Sequence[str]] = []

    async def start(spec: EngineSpec, devices: Sequence[str] = ()) -> Engine:
        given.append(devices)
        return await start_engine(spec, devices)

    monkeypatch.setattr(module, "start_engine", start)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    plan = replace(plan, engines={"teacher": spec})
    await run_rows(plan, first_rows(recipe, plan, 1))
    assert given == [("3",)]


async def test_a_lost_engine_is_an_error(tmp_path: Path) -> None:
    recipe, plan = plan_in(tmp_path, [{"match": ".", "reply": {"error": "unavailable"}}])
    with pytest.raises(EngineUnavailableError):
        await run_rows(plan, first_rows(recipe, plan, 1))


@given(st.text(max_size=2000), st.integers(10, 700))
def test_a_short_text_stays_and_a_long_one_keeps_its_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        assert "characters more; --full shows them" in short
        assert len(short) <= limit + 60
        assert short.startswith(text[: limit // 2].rstrip())
        assert short.endswith(text[-(limit // 2) :].lstrip())
