"""Reading answers, held to recorded transcripts of real models where they are at hand."""

from pathlib import Path

import pytest

from benchmarks.parsers import measure, measure_free

DATA = Path(__file__).parents[6] / "shared" / "data"
ROWS = 400

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the recorded transcripts are not at {DATA}"
)


@pytest.mark.parametrize(
    "name",
    ["gpt3_zeroshot_cot_choice", "palm_csqa_train", "palm_anli1_valid", "palm_esnli_valid3000"],
)
def test_texts_that_state_one_choice_are_read_as_the_log_has_it(name: str) -> None:
    tally = measure(DATA, name, most=ROWS)
    assert tally.one > ROWS / 2
    assert tally.agree >= 0.99 * tally.one, tally.odd_ones


def test_texts_that_state_none_or_several_are_not_read() -> None:
    tally = measure(DATA, "gpt3_zeroshot_cot_choice")
    assert tally.rest > 100
    assert tally.null >= 0.99 * tally.rest, tally.odd_ones


def test_numbers_are_read_as_the_log_has_them() -> None:
    tally = measure_free(DATA, "gpt3_cot_math", most=ROWS)
    assert tally.agree >= 0.98 * tally.one, tally.odd_ones
