"""soft_labels: log-probabilities by option, and who gave them."""

import json
import math
from dataclasses import replace

import pytest
from pydantic import ValidationError

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.ops.soft_labels import OP
from raygen.testing import Script, run_op

FILM = {"text": "A charming film.", "label": "good"}
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))


async def test_scores_become_log_probabilities_that_add_up_to_one() -> None:
    data = {"question": "Who barks?", "choices": ["dog", "cat"], "answer": 0}
    script = Script(scores=lambda prompt, _: (-4.0, -5.0))
    (row,), _ = await run_op(OP, data, script)
    assert isinstance(row, Row)
    soft = row.data["soft_labels"]
    assert soft["dog"] - soft["cat"] == pytest.approx(1.0)
    assert sum(map(math.exp, soft.values())) == pytest.approx(1)
    assert row.data["soft_labels_teacher"] == "fake"


async def test_a_classifier_that_is_quite_sure_gives_finite_numbers() -> None:
    script = Script(classes=lambda text: {"good": 1.0, "bad": 0.0})
    (row,), _ = await run_op(OP, FILM, script, CLASSES, by="classify")
    assert isinstance(row, Row)
    assert json.loads(json.dumps(row.data["soft_labels"], allow_nan=False))["good"] == 0
    assert row.data["soft_labels"]["bad"] < -700


def test_a_vote_gives_no_soft_labels() -> None:
    with pytest.raises(ValidationError):
        OP.params.model_validate({"by": "vote"})


@pytest.mark.parametrize(("by", "ability"), [("classify", "classify"), ("score", "score")])
def test_what_the_engine_must_be_able_to_do(by: str, ability: str) -> None:
    declared = OP.columns(OP.params.model_validate({"by": by}), CLASSES)
    assert declared.abilities == {"engine": {ability}}
    assert "label" in declared.hides
