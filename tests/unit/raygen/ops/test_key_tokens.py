"""key_tokens: which tokens are found, where, and how two sets overlap."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.question import prompt_text
from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.core.template import render
from raygen.engines.base import EngineSpec, TokenScore
from raygen.engines.models.metadata import attribution_problem
from raygen.ops.common.prompts import default_prompt
from raygen.ops.key_tokens import OP, TARGET
from raygen.testing import Script, reasons, run_op
from streamtrain.config.data import DataConfig
from streamtrain.data.examples import make_example

TEXT = "Fish have gills, so they live in water."
ROW = {
    "question": "Where do fish live?",
    "choices": ["sky", "deep water"],
    "answer": 1,
    "rationale": TEXT,
    "human": ["fish", "water", "swim"],
}


def scored(text: str, start: int, target: str) -> Sequence[TokenScore]:
    """A made-up attribution: long words speak for the target."""
    scores, at = [], start
    for word in text[start:].split():
        begin = text.index(word, at)
        at = begin + len(word)
        scores.append(TokenScore(word, begin, at, float(len(word))))
    return scores


async def find_keys(row: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    script = Script(
        attributions=scored, neighbours=lambda word, k: [f"{word}{i}" for i in range(k)]
    )
    (outcome,), _ = await run_op(OP, row or ROW, script, **params)
    assert isinstance(outcome, Row), outcome
    declared = OP.columns(OP.params.model_validate(params), TASKS["multiple_choice"])
    assert set(outcome.data) - set(row or ROW) == set(declared.provides)
    return dict(outcome.data)


async def test_the_tokens_with_the_highest_gradients_in_the_order_of_the_text() -> None:
    keys = (await find_keys(by="gradients", student="s", k=3))["key_tokens"]
    assert [key["text"] for key in keys] == ["Fish", "gills,", "water."]
    assert all(TEXT[key["start"] : key["end"]] == key["text"] for key in keys)
    assert [key["score"] for key in keys] == [4.0, 6.0, 6.0]


async def test_the_student_gets_its_prompt_of_training() -> None:
    asked: list[tuple[str, int, str]] = []

    def remember(text: str, start: int, target: str) -> Sequence[TokenScore]:
        asked.append((text, start, target))
        return scored(text, start, target)

    row = {**ROW, "label": 0}
    await run_op(OP, row, Script(attributions=remember), by="gradients", student="s")
    ((text, start, target),) = asked
    example = make_example(row, DataConfig(rationale="before"))
    assert text[: start - 1] == example.prompt
    assert text == example.prompt + example.target[0].text
    assert example.target[1].text.startswith(target)


def test_the_default_prompt_is_the_students() -> None:
    fields = {"stem": ROW["question"], "options": ROW["choices"]}
    choices = [str(choice) for choice in ROW["choices"]]  # type: ignore[attr-defined]
    assert render(default_prompt("key_tokens"), fields) == prompt_text(
        str(ROW["question"]), choices
    )


async def test_the_words_nearest_to_the_longest_word_of_the_label() -> None:
    row = await find_keys(by="nearest", embeddings="e", k=2)
    assert row["key_tokens"] == [
        {"text": "water0", "start": None, "end": None, "score": None},
        {"text": "water1", "start": None, "end": None, "score": None},
    ]


async def test_the_words_of_the_rationale_that_people_chose() -> None:
    keys = (await find_keys(by="column", words="human"))["key_tokens"]
    assert [(key["text"], key["start"]) for key in keys] == [("Fish", 0), ("water", 33)]


async def test_overlap_counts_words() -> None:
    parts = [
        {"text": "Fi", "start": 0, "end": 2, "score": 1.0},
        {"text": "sh", "start": 2, "end": 4, "score": 1.0},
        {"text": "gills", "start": 10, "end": 15, "score": 1.0},
    ]
    row = await find_keys({**ROW, "parts": parts}, by="column", words="human", compare="parts")
    assert (row["overlap_precision"], row["overlap_recall"]) == (0.5, 0.5)
    row = await find_keys({**ROW, "parts": []}, by="column", words="human", compare="parts")
    assert (row["overlap_precision"], row["overlap_recall"]) == (0.0, None)


async def test_two_sets_can_stand_side_by_side() -> None:
    row = await find_keys(by="column", words="human", into="human_tokens")
    assert "human_tokens" in row
    assert "key_tokens" not in row


async def test_a_row_without_any_is_rejected() -> None:
    outcomes, _ = await run_op(OP, {**ROW, "human": ["dog"]}, by="column", words="human")
    assert reasons(outcomes) == ["no_key_tokens"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"by": "gradients"}, "needs `student`"),
        ({"by": "nearest"}, "needs `embeddings`"),
        ({"by": "column"}, "needs `words`"),
        ({"by": "column", "words": "w", "student": "s"}, "is for by: gradients"),
    ],
)
def test_parameters_that_dont_belong_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OP.params.model_validate(params)


def test_what_the_engine_must_be_able_to_do() -> None:
    task = TASKS["multiple_choice"]
    gradients = OP.columns(OP.params.model_validate({"by": "gradients", "student": "s"}), task)
    nearest = OP.columns(OP.params.model_validate({"by": "nearest", "embeddings": "e"}), task)
    assert gradients.abilities == {"student": {"attribute"}}
    assert nearest.abilities == {"embeddings": {"nearest"}}
    assert "rationale" not in nearest.requires


def test_free_text_needs_a_target_of_its_own() -> None:
    params = {"by": "gradients", "student": "s"}
    with pytest.raises(ValueError, match="needs a `target`"):
        OP.columns(OP.params.model_validate(params), TASKS["free_text"])
    OP.columns(OP.params.model_validate({**params, "target": " 7"}), TASKS["free_text"])


async def test_a_classification_is_looked_up_by_its_class() -> None:
    task = replace(TASKS["classification"], labels=("bad", "good"))
    row = {"text": "I loved it.", "label": "good", "rationale": "Loving is good."}
    (outcome,), _ = await run_op(
        OP,
        row,
        Script(attributions=scored),
        task=task,
        by="gradients",
        student="s",
        target=TARGET,
        k=1,
    )
    assert isinstance(outcome, Row)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (None, "has no student.json"),
        ({"student": "x"}, "data.rationale: after"),
        ({"data": {"rationale": "none"}}, "data.rationale: none"),
        ({"data": {"rationale": "before"}}, None),
        ("{", "can't be read"),
    ],
)
def test_only_a_student_with_the_rationale_before_the_label(
    settings: Any, problem: str | None, tmp_path: Path
) -> None:
    if settings is not None:
        text = settings if isinstance(settings, str) else json.dumps(settings)
        (tmp_path / "student.json").write_text(text)
    found = attribution_problem(EngineSpec("s", str(tmp_path), backend="transformers"))
    assert (found is None) == (problem is None)
    assert problem is None or problem in str(found)


def test_a_fake_student_takes_any_request() -> None:
    assert attribution_problem(EngineSpec("s", "fake", backend="fake")) is None
