"""Gold columns: the answer itself, or a worked solution that ends in it."""

import pytest

from raygen.core.answers import read_gold

GSM = "Each row has 7 eggs, so there are 6*7=<<6*7=42>>42 eggs.\n#### 42"
MATH = "Taking 2 from both sides leaves $x=7$, so the answer is $\\boxed{7}$."


@pytest.mark.parametrize(
    ("text", "answer", "solution"),
    [
        (GSM, "42", GSM),
        (MATH, "7", MATH),
        ("#### 18", "18", None),
        ("#### 1,080", "1,080", None),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}", None),
        ("$\\boxed{-3}$", "-3", None),
        ("18", "18", None),
        ("18 apples", "18 apples", None),
        ("−5", "−5", None),
        ("\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", None, None),
        ("The answer is blowing in the wind", None, None),
        ("Paris", "Paris", None),
        ("She was born in 1867 and died in 1934 in a sanatorium.", None, None),
        ("", "", None),
    ],
)
def test_what_a_gold_column_holds(text: str, answer: str | None, solution: str | None) -> None:
    gold = read_gold(text)
    assert gold.text == (text if answer is None else answer)
    assert gold.solution == solution
