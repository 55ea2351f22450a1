"""The ops that predict, edit, judge and compare, once each on the bundled model.

A model of 135M parameters is often wrong: what is asserted is that whatever it says is either
used as the op promises, or rejected with a reason of the op's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from raygen.core.row import Reject, Row
from raygen.core.task import TASKS
from raygen.ops import deduplicate, flip_check, generate, join_views, judge, minimal_edit
from raygen.ops import soft_labels as soft
from raygen.ops.common.edits import token_distance
from tests.integration.bundled import RealEngine

pytestmark = pytest.mark.bundled

CHOICE = TASKS["multiple_choice"]
CLASSES = replace(TASKS["classification"], labels=("negative", "positive"))
FISH = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 1}
FILMS = [
    {"text": "a charming and funny film", "label": "positive"},
    {"text": "a boring and stupid film", "label": "negative"},
]
PROMPT = """\
Text: the acting is a mess and the plot is dull
Label: negative

Text: a warm , funny and moving film
Label: positive

Text: {{ stem }}
Label:"""


def known(outcomes: Sequence[Row | Reject], *reasons: str) -> list[Row]:
    """The rows; every reject has one of these reasons."""
    rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
    assert {reject.reason for reject in rejects} <= set(reasons), rejects
    return [outcome for outcome in outcomes if isinstance(outcome, Row)]


def best(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=lambda option: probabilities[option])


@pytest.mark.slow
def test_soft_labels(bundled_teacher: RealEngine) -> None:
    (row,) = known(bundled_teacher.run(soft.OP, FISH))
    assert sum(map(math.exp, row.data["soft_labels"].values())) == pytest.approx(1)
    assert row.data["soft_labels_teacher"] == "bundled:smollm2-135m-instruct"
    good, bad = (labels(bundled_teacher, film["text"]) for film in FILMS)
    assert good["positive"] > bad["positive"]


def labels(engine: RealEngine, text: str) -> dict[str, float]:
    """The model's soft labels of a text."""
    data = {"text": text, "label": "positive"}
    (row,) = known(engine.run(soft.OP, data, CLASSES, prompt=PROMPT))
    return dict(row.data["soft_labels"])


def test_flip_check_agrees_with_the_model_s_own_labels(bundled_teacher: RealEngine) -> None:
    edit = {
        "text": FILMS[1]["text"],
        "label": "negative",
        "original": FILMS[0]["text"],
        "original_answer": 1,
        "target": 0,
    }
    (outcome,) = bundled_teacher.run(flip_check.OP, edit, CLASSES, prompt=PROMPT)
    if best(labels(bundled_teacher, FILMS[0]["text"])) == "negative":
        assert isinstance(outcome, Reject)
        assert outcome.reason == "teacher_disagrees"
    elif best(labels(bundled_teacher, FILMS[1]["text"])) == "positive":
        assert isinstance(outcome, Reject)
        assert outcome.reason == "not_flipped"
    else:
        assert isinstance(outcome, Row)
        assert best(outcome.data["original_probabilities"]) == "positive"


def test_flip_check_by_vote(bundled_teacher: RealEngine) -> None:
    edit = {**FISH, "original": "Where do birds fly?", "original_answer": 0, "target": 1}
    outcomes = bundled_teacher.run(flip_check.OP, edit, by="vote", samples=3, max_tokens=8)
    for row in known(outcomes, "teacher_disagrees", "not_flipped", "no_prediction"):
        votes = [3 * share for share in row.data["probabilities"].values()]
        assert votes == pytest.approx([round(vote) for vote in votes])


@pytest.mark.slow
def test_minimal_edit(bundled_teacher: RealEngine) -> None:
    params: dict[str, Any] = {"max_tokens": 24, "predict": {"prompt": PROMPT}}
    for film in FILMS:
        outcomes = bundled_teacher.run(minimal_edit.OP, film, CLASSES, **params)
        rows = known(outcomes, "teacher_disagrees", "not_flipped", "unchanged", "too_far",
                     "truncated", "empty", "refused", "no_prediction")  # fmt: skip
        for row in rows:
            assert row.data["label"] != film["label"] == CLASSES.labels[row.data["original_answer"]]
            distance = token_distance(film["text"], row.data["text"])
            assert 0 < distance == row.data["edit_distance"] <= 0.5
            assert best(row.data["probabilities"]) == row.data["label"]


def test_judge(bundled_teacher: RealEngine) -> None:
    data = {**FISH, "one": "Fish breathe with gills.", "other": "Birds have wings."}
    scoring: dict[str, Any] = {"show": ["question", "answer", "one"], "max_tokens": 24}
    outcomes = bundled_teacher.run(judge.OP, data, rubric="Does it explain the answer?", **scoring)
    for row in known(outcomes, "truncated", "invalid_json"):
        assert 1 <= row.data["judge_score"] == row.data["judge_scores"]["overall"] <= 5
    pair: dict[str, Any] = {"show": ["question"], "compare": ["one", "other"], "max_tokens": 24}
    outcomes = bundled_teacher.run(judge.OP, data, rubric="Which explains it?", **pair)
    for row in known(outcomes, "truncated", "invalid_json"):
        assert row.data["judge_consistent"] or row.data["judge_verdict"] == "tie"


@pytest.mark.slow
def test_generate_with_a_schema(bundled_vllm: RealEngine) -> None:
    properties = {"animal": {"enum": ["dog", "cat"]}, "legs": {"type": "integer", "maximum": 9}}
    schema = {"type": "object", "properties": properties, "required": ["animal", "legs"]}
    params = {"prompt": "An animal as JSON:", "into": "animal", "schema": schema, "max_tokens": 48}
    for row in known(bundled_vllm.run(generate.OP, {}, **params), "truncated"):
        assert row.data["animal"]["animal"] in ("dog", "cat")


def test_what_a_model_repeats_is_dropped_and_the_rest_stays_together(
    bundled_teacher: RealEngine,
) -> None:
    prompt = "Question: What color is the sky?\nAnswer:"
    sampling: dict[str, Any] = {"n": 8, "temperature": 0.3, "max_tokens": 8, "truncated": "keep"}
    said = known(
        bundled_teacher.run(generate.OP, FISH, prompt=prompt, into="said", **sampling), "empty"
    )
    outcomes = bundled_teacher.run(deduplicate.OP, said, on=["said"], near=0.9)
    rows = known(outcomes, "duplicate")
    plain = [" ".join(row.data["said"].casefold().split()) for row in rows]
    assert len(plain) == len(set(plain)) < len(said)
    together = known(bundled_teacher.run(join_views.OP, rows, required=["original"]))
    assert len({row.data["group"] for row in together}) == 1
