"""NODE.rejects: what a node drops goes on as rows, with the reason, and is counted as dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygen.core.errors import ProblemsError
from raygen.dataset.records import RowResult
from raygen.engines.registry import start_engine
from raygen.planning.estimate import estimate_run
from raygen.planning.plan import Plan
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.planning.prompt_tokens import count_prompt_tokens
from raygen.planning.reuse import compare_plans
from raygen.runtime.row_program import RowProgram
from raygen.views.graph import edges, graph_svg, graph_view
from raygen.views.html import to_text
from tests.support.small_datasets import QUIZ, questions, write_recipe

QUESTION = {"question": "What falls?", "choices": ["sand", "snow"], "answer": 1}
BOTH = QUIZ[: QUIZ.index("  short:")].replace("all}", "correct}") + (
    "output: {from: [rationales, rationales.rejects], path: out}\n"
)
MENDED = BOTH.replace("[rationales, rationales.rejects]", "[rationales, mended]").replace(
    "output:",
    "  mended: {op: generate, from: rationales.rejects, engine: teacher, into: again,\n"
    '    prompt: "{{ said }} is {{ reject_reason }}: {{ reject_detail }}"}\noutput:',
)


def plan(folder: Path, recipe: str) -> Plan:
    return prepare(RecipeRequest(write_recipe(folder, recipe, questions(2)))).plan


async def run(of: Plan) -> RowResult:
    engine = await start_engine(of.engines["teacher"], ())
    return await RowProgram(of, {"teacher": engine}).run("key", QUESTION)


def by_reason(result: RowResult) -> dict[str | None, Any]:
    return {example["reject_reason"]: example for example in result.examples}


async def test_rejected_samples_are_examples_with_their_reason(tmp_path: Path) -> None:
    result = await run(plan(tmp_path, BOTH))
    rows = by_reason(result)
    assert set(rows) == {None, "wrong_answer", "no_answer"}
    right, wrong, unread = rows[None], rows["wrong_answer"], rows["no_answer"]
    assert [row["node"] for row in (right, wrong, unread)] == [
        "rationales", "rationales.rejects", "rationales.rejects",
    ]  # fmt: skip
    assert len({row["id"] for row in result.examples}) == 3
    assert (wrong["label"], wrong["said"]) == (0, "Sand is dry. So the answer is: (a)")
    assert wrong["reject_detail"] == "reached 'sand'"
    assert (unread["label"], unread["said"]) == (None, "I do not know.")
    assert sorted(row["sample"] for row in result.examples) == [0, 1, 2]


async def test_what_goes_on_is_dropped_and_counted_all_the_same(tmp_path: Path) -> None:
    result = await run(plan(tmp_path, BOTH))
    assert result.status == "kept"
    assert result.node_counts["rationales"] == (1, 1, 2)
    assert sorted(reject.reason for reject in result.rejects) == ["no_answer", "wrong_answer"]


async def test_a_node_may_go_on_with_what_another_drops(tmp_path: Path) -> None:
    result = await run(plan(tmp_path, MENDED))
    assert result.node_counts["mended"] == (2, 2, 0)
    prompts = {call.prompt for call in result.calls if call.node == "mended"}
    assert "Sand is dry. So the answer is: (a) is wrong_answer: reached 'sand'" in prompts


async def test_correct_is_a_column_where_all_samples_are_kept(tmp_path: Path) -> None:
    marked = BOTH.replace("keep: correct", "keep: all, correct: true")
    result = await run(plan(tmp_path, marked))
    assert {(row["label"], row["correct"]) for row in result.examples} == {
        (1, True), (0, False), (None, None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (MENDED.replace("{{ said }}", "{{ agreement }}"), "prompt reads 'agreement'"),
        (BOTH.replace("s.rejects", "z.rejects"), "there is no node 'rationalez.rejects'"),
        (BOTH.replace("[rationales,", "[source.rejects,"), "no node 'source.rejects'"),
        (
            BOTH.replace(
                "output:", "  d: {op: deduplicate, from: rationales, on: rationale}\noutput:"
            ).replace("rationales.rejects", "d.rejects"),
            "no one row",
        ),
        (BOTH.replace("keep: correct", "keep: correct, correct: true"), "correct: true is for"),
    ],
)  # fmt: skip
def test_the_plan_says_what_cannot_be(tmp_path: Path, recipe: str, problem: str) -> None:
    with pytest.raises(ProblemsError, match=problem):
        plan(tmp_path, recipe)


def test_a_graph_with_rejects_is_drawn_estimated_and_compared(tmp_path: Path) -> None:
    of = plan(tmp_path, MENDED)
    assert ("rationales", "mended") in edges(of)
    assert "mended" in to_text(graph_view(of))
    assert "mended" in graph_svg(of)
    estimate = estimate_run(of, 10, count_prompt_tokens(of, [("key", QUESTION)]), [], None, 1)
    assert estimate.nodes["mended"].rows_in >= 0
    assert set(compare_plans(of.to_json(), of.to_json()).values()) == {"same"}
