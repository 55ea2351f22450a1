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

from raygen.ops import deduplicate, flip_check, generate, join_views, judge, minimal_edit
from raygen.ops import soft_labels as soft
from raygen.ops.edits import token_distance
from raygen.row import Reject, Row
from raygen.task import TASKS
from tests.integration.bundled import RealEngine

pytestmark = pytest.mark.bundled

CHOICE = TASKS["multiple_choice"]
CLASSES = replace(TASKS["classification"], labels=("negative", "positive"))
FISH = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 1}
FILMS = [
    {"text": "a charming and funny film", "label": "positive"},
    {"text": "the acting is a mess and the plot is dull", "label": "negative"},
]
PROMPT = """\
Text: a warm and moving film
Label: positive

Text: the worst film of the year
Label: negative

Text: {{ stem }}
Label:"""


def known(outcomes: Sequence[Row | Reject], *reasons: str) -> list[Row]:
    """The rows; every reject has one of these reasons."""
    rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
    assert {reject.reason for reject in rejects} <= set(reasons), rejects
    return [outcome for outcome in outcomes if isinstance(outcome, Row)]


def best(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=lambda option: probabilities[option])


def test_soft_labels(bundled_teacher: RealEngine) -> None:
    (row,) = known(bundled_teacher.run(soft.OP, FISH))
    assert sum(map(math.exp, row.data["soft_labels"].values())) == pytest.approx(1)
    assert row.data["soft_labels_teacher"] == "bundled:smollm2-135m-instruct"
    found = [known(bundled_teacher.run(soft.OP, film, CLASSES, prompt=PROMPT)) for film in FILMS]
    assert [best(row.data["soft_labels"]) for (row,) in found] == ["positive", "negative"]


@pytest.mark.parametrize("by", ["score", "vote"])
def test_flip_check(bundled_teacher: RealEngine, by: str) -> None:
    edit = {
        "text": FILMS[1]["text"],
        "label": "negative",
        "original": FILMS[0]["text"],
        "original_answer": 1,
        "target": 0,
    }
    params: dict[str, Any] = {"by": by, "prompt": PROMPT, "max_tokens": 4}
    outcomes = bundled_teacher.run(flip_check.OP, edit, CLASSES, **params)
    rows = known(outcomes, "teacher_disagrees", "not_flipped", "no_prediction")
    assert rows or by == "vote"
    for row in rows:
        assert best(row.data["probabilities"]) == "negative"
        assert best(row.data["original_probabilities"]) == "positive"


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
    scoring: dict[str, Any] = {"show": ["question", "answer", "one"], "max_tokens": 160}
    outcomes = bundled_teacher.run(judge.OP, data, rubric="Does it explain the answer?", **scoring)
    for row in known(outcomes, "truncated", "invalid_json"):
        assert 1 <= row.data["judge_score"] == row.data["judge_scores"]["overall"] <= 5
    pair: dict[str, Any] = {"show": ["question"], "compare": ["one", "other"], "max_tokens": 160}
    outcomes = bundled_teacher.run(judge.OP, data, rubric="Which explains it?", **pair)
    for row in known(outcomes, "truncated", "invalid_json"):
        assert row.data["judge_consistent"] or row.data["judge_verdict"] == "tie"


def test_generate_with_a_schema(bundled_teacher: RealEngine) -> None:
    properties = {"animal": {"enum": ["dog", "cat"]}, "legs": {"type": "integer", "maximum": 9}}
    schema = {"type": "object", "properties": properties, "required": ["animal", "legs"]}
    params = {"prompt": "An animal as JSON:", "into": "animal", "schema": schema, "max_tokens": 48}
    for row in known(bundled_teacher.run(generate.OP, {}, **params), "truncated"):
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
