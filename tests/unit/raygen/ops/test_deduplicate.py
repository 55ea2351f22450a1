"""deduplicate: within the rows of one source row, the first in order stays."""

import pytest
from pydantic import ValidationError

from raygen.core.row import Reject, Row
from raygen.ops.deduplicate import OP
from raygen.testing import reasons, run_op

FISH = "Fish live in water because they breathe with gills."
SOURCE = Row("key", {"question": "Where do fish live?"})


def rows(*texts: str) -> list[Row]:
    return [SOURCE.child("r", k, {"rationale": text, "label": 1}) for k, text in enumerate(texts)]


async def test_a_repeat_is_rejected_and_names_what_it_repeats() -> None:
    samples = rows(FISH, "They swim.", f" {FISH.upper()}\n")
    outcomes, _ = await run_op(OP, samples, on=["rationale"])
    assert outcomes[:2] == samples[:2]
    assert outcomes[2] == Reject("duplicate", f"repeats {FISH!r}")


async def test_near_repeats() -> None:
    samples = rows(FISH, FISH.replace("breathe", "breath"))
    exact, _ = await run_op(OP, samples, on=["rationale"])
    near, _ = await run_op(OP, samples, on=["rationale"], near=0.8)
    assert (reasons(exact), reasons(near)) == ([None, None], [None, "duplicate"])


async def test_all_columns_must_repeat() -> None:
    first, second = rows(FISH, FISH)
    other = second.child("x", 0, {"label": 0})
    assert reasons((await run_op(OP, [first, second], on=["rationale", "label"]))[0]) == [
        None,
        "duplicate",
    ]
    assert reasons((await run_op(OP, [first, other], on=["rationale", "label"]))[0]) == [None, None]


@pytest.mark.parametrize("params", [{"on": []}, {"on": ["x"], "near": 0}])
def test_unusable_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OP.params.model_validate(params)
