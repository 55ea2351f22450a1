from fractions import Fraction

import pytest

from raygen.checks.numbers import read_quantity, same_quantity


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("−7", "-7", ""),
        ("$1,000.50", "1000.5", "= $"),
        (r"14,\!641", "14641", ""),
        (r"2\frac{1}{3}", "7/3", ""),
        ("3½", "7/2", ""),
        ("-3 1/2 hours", "-7/2", "= h"),
        (r"3.2 \times 10^{5}", "320000", ""),
        ("1e-3", "1/1000", ""),
        ("12 + 8 = 20", "20", ""),
        ("(60 / 3)", "20", ""),
        ("minus twenty-five dollars", "-25", "= $"),
        ("two and a half", "5/2", ""),
        ("three quarters of the cake", "3/4", "of the cake"),
        ("one hundred and five", "105", ""),
        ("5 million", "5000000", ""),
        ("She has 18 apples left", "18", "apples left"),
        ("60 mph", "60", "= mi h^-1"),
        (r"15 \text{ square cm}", "15", "= cm^2"),
        ("१२", "12", ""),
    ],
)
def test_a_number_is_read_with_its_unit(text: str, value: str, unit: str) -> None:
    read = read_quantity(text)
    assert read is not None
    assert (read.value, read.unit) == (Fraction(value), unit)


@pytest.mark.parametrize(
    "text",
    ["", "x", "5x", r"9\pi", "5 or 6", "at least 5", "5 squared", "5k", "3,5", "0,1", "7:30", "3-4",
     "1/0", "2020/10/12", "5 feet 3 inches", "7 below zero", "x^2", "1011_2", "one two", "7" * 300],
)  # fmt: skip
def test_what_is_no_single_number_is_not_read_as_one(text: str) -> None:
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.333333", "1/3", True),
        ("0.33333", "1/3", False),
        ("10.3333", "10.333333333333332", True),
        ("12345.6", "12345.64", False),
        ("0.30000000000000004", "0.3", True),
        ("1000000.5", "1000000", False),
        ("666667", "2000000/3", False),
        ("1e-7", "2e-7", False),
        ("25%", "0.25", True),
        ("25%", "25", True),
        ("25%", "2500", False),
        ("90°", "90%", False),
        ("5 cm", "5 m", False),
        ("5 cm", "5", True),
        ("18 red apples", "18 apples", True),
        ("18 pears", "18 apples", False),
        ("$5", "€5", False),
    ],
)
def test_numbers_are_equal_but_for_what_a_decimal_leaves_out(
    one: str, other: str, same: bool
) -> None:
    a, b = read_quantity(one), read_quantity(other)
    assert a is not None
    assert b is not None
    assert same_quantity(a, b) is same
    assert same_quantity(b, a) is same
