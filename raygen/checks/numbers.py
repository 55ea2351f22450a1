r"""Read the number that an answer is, exactly, and compare two.

A number may be written with thousands separators, as a decimal, fraction, mixed number, percentage,
power of ten, short sum or in words, with a currency before it and a unit or words behind it. What
is written as a decimal is exact, with two exceptions. Decimals that differ by less than one part in
10^12 are one number, as arithmetic of double precision makes them differ. And a decimal of six or
more significant digits stands for a number that rounds to it and that has no finite decimal, or is
itself written with twelve digits or more: 0.333333 is 1/3 and 0.3333333333333333, and 0.33 isn't.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from raygen.checks.notation import canonical
from raygen.checks.units import changes_number, read_unit, same_unit

ROUNDED_DIGITS = 6
"""A decimal of so many significant digits may stand for what rounds to it."""
_MACHINE_DIGITS = 12
_NOISE = Fraction(1, 10**12)
_LONGEST = 200
_LONGEST_SUM = 80
_MOST_NODES = 40

_DECIMAL = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,3}(?: \d{3})+(?![\d ])|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<currency>(?:\\?\$|[€£¥₹])?)\s*(?P<inner>-?)"
    rf"(?:(?P<whole>\d+)(?:\s+|(?=\\frac)|\s*-\s*(?=\d+\s*/))"
    r"(?:\\frac\{(?P<mixed_top>\d+)\}\{(?P<mixed_bottom>\d+)\}"
    r"|(?P<mixed_over>\d+)\s?/\s?(?P<mixed_under>\d+))(?![\d.])"
    rf"|\\frac\{{\s*(?P<top>-?(?:{_DECIMAL}))\s*\}}\{{\s*(?P<bottom>-?(?:{_DECIMAL}))\s*\}}"
    rf"|(?P<decimal>{_DECIMAL})(?:\s?/\s?(?P<under>(?:{_DECIMAL}))(?!\s?/))?"
    r"(?:(?:[eE](?P<e>[-+]?\d{1,3})(?!\w))"
    r"|\s?(?:\\cdot|x|\*)\s?10\^\{?(?P<power>[-+]?\d{1,3})\}?)?)"
)
_PERCENT = re.compile(r"\s*(?:\\?%|per ?cent(?:age)?\b)", re.IGNORECASE)
_NEGATIVE = re.compile(r"\A(?:minus|negative) (?=[$€£]?[\d.])", re.IGNORECASE)
_ORDINAL = re.compile(r"\A(?:st|nd|rd|th)\b")
_SCALE = re.compile(r" ?(hundred|thousand|million|billion|trillion|dozen)s?\b", re.IGNORECASE)
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
           "trillion": 10**12, "dozen": 12}  # fmt: skip
_LONE_NUMBER = re.compile(rf"(?<![\w.^_{{}}/\\-])-?[$€£]?(?:{_DECIMAL})(?![\w^_/\\])")
_PROSE = re.compile(r"[A-Za-z][A-Za-z'\", ()-]*\Z")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, and how many significant digits it is written with as a decimal."""

    value: Fraction
    unit: str = ""
    percent: bool = False
    digits: int = 0

    def may_round(self, other: Quantity) -> bool:
        """Tell whether this decimal may be what a longer or endless one was rounded to."""
        if self.digits < ROUNDED_DIGITS:
            return False
        return other.digits >= _MACHINE_DIGITS or not _is_finite(other.value)

    @property
    def half_unit(self) -> Fraction:
        """Half a unit of the last of its significant digits."""
        top, bottom = abs(self.value.numerator), self.value.denominator
        exponent = len(str(top)) - len(str(bottom))
        exponent -= top * 10 ** max(0, -exponent) < bottom * 10 ** max(0, exponent)
        return Fraction(Fraction(10) ** (exponent - self.digits + 1)) / 2


@lru_cache(maxsize=8192)
def read_quantity(text: str) -> Quantity | None:
    """Read the one number that an answer is; None where it is something else, or several."""
    if len(text) > _LONGEST:
        return None
    plain = _NEGATIVE.sub("-", canonical(text))
    return _number(plain) or _sum(plain) or _in_words(plain) or _within_words(plain)


def same_quantity(one: Quantity, other: Quantity) -> bool:
    """Tell whether two quantities are equal; 25 % equals 25 and 0.25."""
    if not same_unit(one.unit, other.unit):
        return False
    if one.percent != other.percent and (one.unit or other.unit):
        return False
    if same_value(one, other):
        return True
    if one.percent == other.percent:
        return False
    share, plain = (one, other) if one.percent else (other, one)
    return same_value(replace(share, value=share.value / 100), plain)


def same_value(one: Quantity, other: Quantity) -> bool:
    """Tell whether two numbers are equal, but for what a decimal leaves out."""
    if one.value == other.value:
        return True
    if not one.digits and not other.digits:
        return False
    difference = abs(one.value - other.value)
    if difference <= _NOISE * max(abs(one.value), abs(other.value)):
        return True
    return any(
        short.may_round(long) and difference <= short.half_unit
        for short, long in ((one, other), (other, one))
    )


def _is_finite(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def _number(text: str) -> Quantity | None:
    match = _NUMBER.match(text)
    if match is None:
        return None
    value = _value(match)
    if value is None:
        return None
    if match["sign"] == "-" or match["inner"]:
        value = -value
    return _with_unit(text[match.end() :], value, match["currency"].lstrip("\\"), _digits(match))


def _with_unit(rest: str, value: Fraction, currency: str, digits: int) -> Quantity | None:
    scale = _SCALE.match(rest)
    if scale is not None:
        value, rest = value * _SCALES[scale[1].casefold()], rest[scale.end() :]
    rest = _ORDINAL.sub("", rest)
    percent = _PERCENT.match(rest)
    if percent is not None:
        rest = rest[percent.end() :]
    unit = read_unit(rest, rest[:1] in ("", " ", "^", "$"))
    if unit is None:
        return None
    return Quantity(value, f"= {currency}" if currency else unit, percent is not None, digits)


def _digits(match: re.Match[str]) -> int:
    """Count the significant digits of a number written as a decimal; 0 for any other."""
    decimal = match["decimal"]
    if decimal is None or match["under"] or ("." not in decimal and not match["e"]):
        return 0
    return len(re.sub(r"[., ]", "", decimal).lstrip("0"))


def _value(match: re.Match[str]) -> Fraction | None:
    if match["whole"]:
        top, bottom = match["mixed_top"] or match["mixed_over"], match["mixed_bottom"]
        bottom = bottom or match["mixed_under"]
        if int(top) >= int(bottom):
            return None
        return int(match["whole"]) + Fraction(int(top), int(bottom))
    if match["top"]:
        top, bottom = match["top"], match["bottom"]
    else:
        top, bottom = match["decimal"], match["under"] or "1"
    under = _decimal(bottom)
    if not under:
        return None
    return _decimal(top) / under * Fraction(10) ** int(match["e"] or match["power"] or 0)


def _decimal(text: str) -> Fraction:
    return Fraction(re.sub(r"[, ]", "", text).rstrip(".") or "0")


def _within_words(text: str) -> Quantity | None:
    """Read the only number of a sentence whose words leave it what it is."""
    text = text.replace(r"^{\circ}", " degrees")
    numbers = list(_LONE_NUMBER.finditer(text))
    if len(numbers) != 1 or re.search(r"[=<>^\\{}\[\]+*/|]", text.replace("\\$", "$")):
        return None
    number = numbers[0]
    before, after = text[: number.start()].strip(), text[number.end() :].strip()
    if not before or not _PROSE.match(before) or changes_number(before) or _words_number(before):
        return None
    if len(before) == 1 or re.search(r"[(,-]\Z", before):
        return None
    return _number(f"{number[0]} {after}".strip())


def _sum(text: str) -> Quantity | None:
    """Evaluate a short sum of plain numbers, such as `12 + 8`; of `12 + 8 = 20` the right side."""
    left, equals, right = text.rpartition("=")
    if equals and re.search(r"[^\d.,$\s+*/()=\\cdot-]|\Acdot", left):
        return None
    text = re.sub(r"\\cdot ?|\\div ?", lambda sign: "*" if "c" in sign[0] else "/", right.strip())
    if equals:
        read = _number(text)
        if read is not None:
            return read
    text = re.sub(r"\\?[$€£]|(?<=\d),(?=\d{3}(?!\d))", "", text)
    if not 0 < len(text) <= _LONGEST_SUM or not re.fullmatch(r"[\d.+\-*/() ]+", text):
        return None
    if re.search(r"\*\*|//|\d \d|\d-\d|/\d+/|\d+/\d+-|\)\(|\d\(|\)\d", text):
        return None
    try:
        tree = ast.parse(re.sub(r"\b0+(?=\d)", "", text.strip()), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
            return None
        return Quantity(_evaluated(tree.body))
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def _evaluated(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as value):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluated(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluated(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _evaluated(left), _evaluated(right)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
    raise ValueError("no plain sum")


_ONES = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
          "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10}  # fmt: skip


def _in_words(text: str) -> Quantity | None:
    """Read a number in words, such as `minus twenty-five dollars` or `two and a half`."""
    words = re.findall(r"[a-z]+|[^a-z\s-]+", text.casefold())
    negative = bool(words) and words[0] in ("minus", "negative")
    words = words[negative:]
    end = 0
    while end < len(words) and (
        words[end] in _ONES
        or words[end] in _TENS
        or words[end].removesuffix("s") in _SCALES
        or words[end].removesuffix("s") in _PARTS
        or words[end] in ("and", "a", "an", "halves")
    ):
        end += 1
    value = _words_value(words[:end])
    if value is None:
        return None
    rest = " ".join(words[end:])
    return _with_unit(f" {rest}" if rest else "", -value if negative else value, "", 0)


def _words_number(text: str) -> bool:
    return any(word in _ONES or word in _TENS for word in re.findall(r"[a-z]+", text.casefold()))


def _words_value(words: list[str]) -> Fraction | None:
    """Return the value of number words; None where they make no number."""
    if not words or words[-1] in ("and", "a", "an"):
        return None
    part = words[-1] if words[-1] in _PARTS else words[-1].removesuffix("s")
    if part in _PARTS:
        return _with_part(words[:-1], Fraction(1, _PARTS[part]))
    total, group, last = 0, 0, ""
    for word in words:
        name = word.removesuffix("s")
        if word in ("and", "a", "an"):
            if word != "and" and last:
                return None
        elif name in _SCALES:
            group = max(1, group) * _SCALES[name]
            if _SCALES[name] >= 1000:
                total, group = total + group, 0
        else:
            value = _ONES.get(word, _TENS.get(word, 0))
            if last in _ONES or (last in _TENS and not 0 < value < 10):
                return None
            group += value
        last = word
    return Fraction(total + group)


def _with_part(words: list[str], part: Fraction) -> Fraction | None:
    """Return the value of `three quarters`, `a half` or `two and a half`."""
    if not words or words in (["a"], ["one"]):
        return part
    if words[-1] in ("a", "one") and words[-2:-1] == ["and"]:
        whole = _words_value(words[:-2])
        return None if whole is None else whole + part
    if "and" in words:
        at = words.index("and")
        whole, count = _words_value(words[:at]), _words_value(words[at + 1 :])
        return None if whole is None or count is None else whole + count * part
    count = _words_value(words)
    return None if count is None else count * part
