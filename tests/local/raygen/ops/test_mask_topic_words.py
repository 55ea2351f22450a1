"""mask_topic_words with spaCy's own English pipeline."""

from __future__ import annotations

import pytest

from raygen.core.row import Row
from raygen.ops.common.noun_phrases import installed_pipeline, noun_phrases, pipeline_version
from raygen.ops.mask_topic_words import OP
from raygen.testing import run_op
from tests.unit.raygen.ops.test_mask_topic_words import ROW

pytestmark = pytest.mark.skipif(
    installed_pipeline() is None, reason="spaCy or its English pipeline is not installed"
)


async def test_whole_noun_phrases_come_from_the_library() -> None:
    outcomes, context = await run_op(OP, ROW, [" obstructing justice; one"], phrases="library")
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["masked"] == "What might be [MASK] if [MASK] is convicted of [MASK]?"
    assert [span["kind"] for span in row["masked_spans"]] == ["phrase", "topic", "topic"]
    assert row["phrases_by"] == "library"
    assert "Noun phrases" not in str(context.asked[0][0])


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Which old houses does it stand near?", ["old houses"]),
        ("The fox walked into the dark forest; what was it after?", ["The fox", "the dark forest"]),
        ("Mike's old truck broke.", ["Mike's old truck"]),
        ("", []),
    ],
)
def test_noun_phrases_have_their_determiners_and_no_question_words(
    text: str, phrases: list[str]
) -> None:
    assert [text[start:end] for start, end in noun_phrases(text)] == phrases


def test_the_pipeline_that_is_installed_is_bound() -> None:
    params = OP.params.model_validate({"phrases": "library"})
    assert OP.bind is not None
    binding = OP.bind(params, None)
    assert binding.facts["pipeline"] == pipeline_version(installed_pipeline() or "")
    assert OP.bind(params, binding.facts) == binding
    with pytest.raises(ValueError, match=r"of en_core_web_sm 0\.1, and here is"):
        OP.bind(params, {"pipeline": "en_core_web_sm 0.1"})
