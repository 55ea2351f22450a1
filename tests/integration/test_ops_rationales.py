"""The ops on rationales, on the bundled model: structure and checks hold on whatever it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raygen.core.row import Reject, Row
from raygen.ops import key_tokens, perturb_rationale, sample_rationales
from tests.integration.bundled import RealEngine
from tests.integration.conftest import BUNDLED

pytestmark = pytest.mark.bundled

ROW = {
    "question": "Where would you keep milk so that it stays cold?",
    "choices": ["fridge", "oven", "desk"],
    "answer": 0,
}
TEXT = "Milk goes bad when it is warm, and a fridge is cold inside."
DEMOS = [
    {
        "question": "What do people use to see what time it is?",
        "choices": ["watch", "spoon", "rope"],
        "answer": "watch",
        "rationale": "Time is shown by clocks. A watch is a small clock.",
    },
    {
        "question": "Why would a child wear a coat?",
        "choices": ["to swim", "to read", "to stay warm"],
        "answer": "to stay warm",
        "rationale": "Coats are thick clothes for cold days.",
    },
]


@pytest.mark.slow
def test_the_model_reasons_to_answers_of_its_own(bundled_teacher: RealEngine) -> None:
    outcomes = bundled_teacher.run(
        sample_rationales.OP,
        ROW,
        n=6,
        temperature=0.7,
        max_tokens=40,
        demonstrations=DEMOS,
        pick={"by": "likely", "at_most": 3, "near": 0.9},
    )
    assert len(outcomes) == 6
    (call,) = bundled_teacher.calls
    said = json.loads(call.completions)
    rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
    assert len(rows) <= 3
    for row in rows:
        data = row.data
        assert data["rationale"] in said[data["sample"]]["text"]
        assert data["label"] == data["predicted"] in (0, 1, 2)
        assert data["logprob"] < 0
        assert data["logprob_per_token"] > data["logprob"]
        assert 1 / 6 <= data["agreement"] <= 1
    reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, Reject)}
    assert reasons <= {"no_answer", "truncated", "empty", "duplicate", "not_picked"}


@pytest.mark.slow
def test_the_model_explains_an_answer(bundled_teacher: RealEngine) -> None:
    (outcome,) = bundled_teacher.run(
        sample_rationales.OP, ROW, n=1, label="shown", max_tokens=60, demonstrations=DEMOS
    )
    if isinstance(outcome, Reject):
        assert outcome.reason in {"truncated", "empty", "wrong_answer"}
        return
    assert outcome.data["label"] == 0
    assert outcome.data["predicted"] is None


def test_a_rationale_is_broken_along_the_models_tokens(embedded: RealEngine) -> None:
    data = {**ROW, "rationale": TEXT}
    params: dict[str, Any] = {"unit": "token", "tokenizer": BUNDLED}
    (shuffled,) = embedded.run(perturb_rationale.OP, data, how="shuffle", **params)
    (masked,) = embedded.run(perturb_rationale.OP, data, how="mask", fraction=0.5, **params)
    assert isinstance(shuffled, Row)
    assert isinstance(masked, Row)
    assert sorted(shuffled.data["rationale"].replace(" ", "")) == sorted(TEXT.replace(" ", ""))
    assert masked.data["rationale"].count("[MASK]") in range(6, 10)
    assert embedded.calls == []


def test_the_models_own_key_tokens(embedded: RealEngine) -> None:
    data = {**ROW, "rationale": TEXT}
    (outcome,) = embedded.run(key_tokens.OP, data, by="gradients", student="teacher", k=5)
    assert isinstance(outcome, Row)
    keys = outcome.data["key_tokens"]
    assert len(keys) == 5
    assert all(TEXT[key["start"] : key["end"]] == key["text"] for key in keys)
    assert [key["start"] for key in keys] == sorted(key["start"] for key in keys)


def test_the_models_own_nearest_words_replace_a_rationale(embedded: RealEngine) -> None:
    data = {**ROW, "rationale": TEXT}
    (found,) = embedded.run(key_tokens.OP, data, by="nearest", embeddings="teacher", k=4)
    assert isinstance(found, Row)
    words = [key["text"] for key in found.data["key_tokens"]]
    assert len(set(words)) == 4
    (kept,) = embedded.run(perturb_rationale.OP, dict(found.data), how="keep", keep="key_tokens")
    assert isinstance(kept, Row)
    assert kept.data["rationale"] == " ".join(words)
