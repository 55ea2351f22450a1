"""What the cheap readings settle by themselves; `tests/local` holds the same pairs with algebra."""

import pytest

from raygen.checks import settle
from raygen.checks.mathematics import same_mathematics
from tests.support.answer_pairs import DIFFERENT, EQUAL

SETTLED = 0.6


@pytest.mark.parametrize(("pairs", "equal"), [(EQUAL, True), (DIFFERENT, False)])
def test_what_is_settled_without_algebra_is_settled_right(
    pairs: tuple[tuple[str, str], ...], equal: bool
) -> None:
    both = [*pairs, *(pair[::-1] for pair in pairs)]
    verdicts = [(pair, settle(*pair, "math")) for pair in both]
    settled = [(pair, verdict) for pair, verdict in verdicts if verdict is not None]
    assert [pair for pair, verdict in settled if verdict.correct is not equal] == []
    assert len(settled) > SETTLED * len(both)


def test_only_expressions_reach_algebra() -> None:
    asked: list[tuple[str, str]] = []

    def algebra(one: str, other: str) -> bool:
        asked.append((one, other))
        return True

    for pair in (("18", "18 apples"), ("cat", "act"), ("7:30", "7.5"), ("C++", "C"), ("3-4", "-1")):
        same_mathematics(*pair, algebra)
    assert asked == []
    assert same_mathematics(r"(1, 2\sqrt{3}]", r"(1,\sqrt{12}]", algebra)
    assert asked == [(r"2\sqrt{3}", r"\sqrt{12}")]


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"(1,x+1)", r"(1,x+1]"),
        (r"\{x+1,2\}", r"\{x+1,2,3\}"),
        (r"\begin{pmatrix}x+1\\2\end{pmatrix}", r"\begin{pmatrix}x+1&2\end{pmatrix}"),
        ("x+1<3", "x+1>3"),
        ("y = x+1", "z = x+1"),
    ],
)
def test_another_form_is_another_answer_whatever_its_terms_are(answer: str, gold: str) -> None:
    assert not same_mathematics(answer, gold, lambda one, other: one == other)


def test_an_endless_answer_is_compared_as_a_text() -> None:
    def algebra(one: str, other: str) -> bool:
        raise AssertionError("asked of algebra")

    long = "1+" * 5000 + "1"
    assert same_mathematics(long, long, algebra)
    assert not same_mathematics(long, "5001", algebra)
