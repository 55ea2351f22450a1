"""perturb_rationale: what becomes of a rationale, and that it is the same each time."""

from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.engines.models.bundled import bundled_problem
from raygen.ops.perturb_rationale import OP
from raygen.testing import reasons, run_op

TEXT = "Fish need water because they have gills, and gills work under water only."
ROW = {"question": "Where?", "choices": ["sky", "water"], "answer": 1, "rationale": TEXT}
MODEL = "bundled:smollm2-135m-instruct"

needs_model = pytest.mark.skipif(
    bundled_problem(MODEL) is not None, reason="the bundled model is not installed"
)


async def perturbed(row: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    (outcome,), _ = await run_op(OP, row or ROW, **params)
    assert isinstance(outcome, Row), outcome
    declared = OP.columns(OP.params.model_validate(params), TASKS["multiple_choice"])
    assert declared.requires <= set(row or ROW)
    assert set(outcome.data) - set(row or ROW) <= set(declared.provides)
    return dict(outcome.data)


async def test_words_are_shuffled() -> None:
    row = await perturbed(how="shuffle")
    assert row["rationale"] != TEXT
    assert sorted(row["rationale"].split()) == sorted(TEXT.split())
    assert (row["original_rationale"], row["perturbation"]) == (TEXT, "shuffled words")
    assert row == await perturbed(how="shuffle")


@needs_model
async def test_tokens_are_shuffled() -> None:
    row = await perturbed(how="shuffle", unit="token", tokenizer=MODEL)
    assert sorted(row["rationale"].replace(" ", "")) == sorted(TEXT.replace(" ", ""))
    assert row["perturbation"] == "shuffled tokens"


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
async def test_a_fraction_is_masked(fraction: float) -> None:
    row = await perturbed(how="mask", fraction=fraction)
    words = row["rationale"].split()
    assert len(words) == 13
    assert words.count("[MASK]") == int(fraction * 13 + 0.5)
    assert all(w in ("[MASK]", o) for w, o in zip(words, TEXT.split(), strict=True))
    assert row["perturbation"] == f"masked {fraction:g}"


@needs_model
async def test_tokens_are_masked_by_a_text_of_choice() -> None:
    params = {"unit": "token", "tokenizer": MODEL, "mask": "<mask>"}
    row = await perturbed(how="mask", fraction=0.5, **params)
    assert row["rationale"].count("<mask>") >= 6


KEYS = [
    {"text": "gills", "start": 34, "end": 39, "score": 0.5},
    {"text": "Fi", "start": 0, "end": 2, "score": 0.9},
    {"text": "sh", "start": 2, "end": 4, "score": 0.1},
]


@pytest.mark.parametrize(
    ("keys", "rationale"),
    [
        (KEYS, "Fish gills"),
        (["water", "gills"], "water gills"),
        ("water, gills", "water gills"),
    ],
)
async def test_given_tokens_are_kept_in_order(keys: Any, rationale: str) -> None:
    row = await perturbed({**ROW, "key_tokens": keys}, how="keep", keep="key_tokens")
    assert (row["rationale"], row["perturbation"]) == (rationale, "kept key_tokens")


async def test_given_tokens_are_kept_in_any_order() -> None:
    words = TEXT.split()
    row = await perturbed({**ROW, "words": words}, how="keep", keep="words", order="shuffled")
    assert sorted(row["rationale"].split()) == sorted(words)
    assert row["rationale"] != TEXT
    assert row["perturbation"] == "kept words, shuffled"


@pytest.mark.parametrize("keys", [None, [], "", [{"score": 1.0}], 5])
async def test_without_tokens_to_keep_a_row_is_rejected(keys: Any) -> None:
    outcomes, _ = await run_op(OP, {**ROW, "key_tokens": keys}, how="keep", keep="key_tokens")
    assert reasons(outcomes) == ["no_key_tokens"]


async def test_unknown_tokens_need_no_rationale() -> None:
    row = await perturbed({"question": "Where?"}, how="unknown", count=3)
    assert (row["rationale"], row["perturbation"]) == ("<unk> <unk> <unk>", "<unk> x 3")


async def test_unknown_tokens_before_a_rationale() -> None:
    row = await perturbed(how="unknown", count=1, place="before", unknown="[UNK]")
    assert row["rationale"] == f"[UNK] {TEXT}"
    assert row["original_rationale"] == TEXT


@pytest.mark.parametrize("params", [{"how": "shuffle"}, {"how": "mask", "fraction": 0.1}])
async def test_what_is_too_short_is_rejected(params: dict[str, Any]) -> None:
    outcomes, _ = await run_op(OP, {**ROW, "rationale": "Fish"}, **params)
    assert reasons(outcomes) == ["too_short"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"how": "mask"}, "needs `fraction`"),
        ({"how": "keep"}, "needs `keep`"),
        ({"how": "unknown"}, "needs `count`"),
        ({"how": "shuffle", "count": 3}, "takes no count"),
        ({"how": "shuffle", "unit": "token"}, "go together"),
        ({"how": "shuffle", "tokenizer": MODEL}, "go together"),
    ],
)
def test_parameters_that_dont_belong_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OP.params.model_validate(params)


def test_an_unknown_bundled_tokenizer_is_a_plan_error() -> None:
    params = {"how": "shuffle", "unit": "token", "tokenizer": "bundled:nothing"}
    with pytest.raises(ValueError, match="no bundled model"):
        OP.columns(OP.params.model_validate(params), TASKS["multiple_choice"])
