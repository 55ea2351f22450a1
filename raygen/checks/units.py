"""Units behind a number: which words are one, and whether two name the same.

Knows nothing of numbers.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SPELLINGS = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre",
    "km": "kilometer kilometre", "in": "inch", "ft": "foot feet", "yd": "yard", "mi": "mile",
    "mg": "milligram", "g": "gram", "kg": "kilogram kilo", "lb": "pound lbs", "oz": "ounce",
    "ml": "milliliter millilitre", "l": "liter litre", "gal": "gallon",
    "s": "second sec", "min": "minute mins", "h": "hour hr hrs", "day": "", "week": "",
    "month": "", "year": "yr yrs", "rpm": "", "hz": "hertz",
    "$": "dollar usd buck", "€": "euro eur", "£": "gbp", "¥": "yen", "¢": "cent", "₹": "rupee",
    "deg": "degree", "rad": "radian", "unit": "", "n": "newton", "j": "joule", "w": "watt",
    "v": "volt", "pa": "pascal", "a": "ampere amp", "mol": "mole", "k": "kelvin",
}  # fmt: skip
_KNOWN = {word: unit for unit, words in _SPELLINGS.items() for word in (unit, *words.split())}
_COMPOUND = {"mph": ("mi", "h^-1"), "kph": ("km", "h^-1"), "kmh": ("km", "h^-1")}
_ATTACHED = ("g", "L", "$", "€", "£", "¥", "¢", "₹")
"""Units of one sign that stand right behind a number; other letters may be variables there."""
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_CHANGING = re.compile(
    r"(?:^|[^\w])(?:than|times|squared|cubed|below|above|minus|plus|negative|half|halves|thirds?"
    r"|quarters?|fourths?|fifths?|root|power|hundreds?|thousands?|millions?|billions?|trillions?"
    r"|dozens?|not|no|pi|or|twice|double|triple|divided|multiplied|between|factor|at|most|least"
    r"|over|under|mod|choose|percent|bc|bce|am|pm)(?:[^\w]|$)",
    re.IGNORECASE,
)
"""Words that make another number of the one that they stand beside."""
_WORDS = re.compile(r"[A-Za-z][A-Za-z'.,-]*(?: [A-Za-z][A-Za-z'.,-]*){0,11}")
_TOKEN = re.compile(r"\s*([A-Za-z]+|[$€£¥¢₹])\.?(?:\^\{?(-?\d)\}?|(\d)(?!\d))?")


def changes_number(words: str) -> bool:
    """Tell whether words beside a number make another number of it."""
    return _CHANGING.search(words) is not None


@lru_cache(maxsize=4096)
def read_unit(text: str, apart: bool) -> str | None:
    """Read what follows a number as a unit, spelled in one way; None where it isn't one.

    `apart` says that a space stood before it: `5 m` is a length, `5m` may be a product.
    """
    text = text.strip()
    if not text:
        return ""
    measured = _measure(text)
    if measured is not None:
        return measured if apart or len(text) > 1 or text in _ATTACHED else None
    words = _WORDS.fullmatch(text)
    if not apart or words is None or changes_number(text):
        return None
    if len(max(re.split(r"[ .,'-]", text), key=len)) < 3:
        return None
    return text.casefold()


def same_unit(one: str, other: str) -> bool:
    """Tell whether two units agree; one that is left out agrees with any."""
    if not one or not other or one == other:
        return True
    if _is_measure(one) or _is_measure(other):
        return False
    first, second = (_nouns(words) for words in (one, other))
    return first <= second or second <= first


def _is_measure(unit: str) -> bool:
    return unit.startswith("=")


def _measure(text: str) -> str | None:
    """Spell a unit of measure in one way, as in `= km h^-1`; None where a word isn't known."""
    if text in ("^{\\circ}", "^\\circ"):
        return "= deg"
    if text in ("^{\\circ}C", "^{\\circ}F", "^{\\circ} C", "^{\\circ} F"):
        return f"= deg{text[-1]}"
    factors: list[str] = []
    sign, power, at = 1, 1, 0
    text = re.sub(r"\\cdot|-(?=[A-Za-z])", " ", text)
    while at < len(text):
        if match := re.compile(r"\s*(?:/|per\b)").match(text, at):
            sign, at = -1, match.end()
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        word, at = match[1].casefold(), match.end()
        if word in _POWERS:
            power = _POWERS[word]
            continue
        if word in _COMPOUND:
            factors += _COMPOUND[word]
            continue
        unit = (
            _KNOWN.get(word) or _KNOWN.get(word.rstrip("s")) or _KNOWN.get(word.removesuffix("es"))
        )
        if unit is None:
            return None
        exponent = sign * power * int(match[2] or match[3] or 1)
        factors.append(unit if exponent == 1 else f"{unit}^{exponent}")
        power = 1
    factors = [each for each in factors if not each.startswith("unit")] or factors
    return "= " + " ".join(factors) if factors and power == 1 else None


def _nouns(words: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"[a-z]+", words)} - {"of", "the", "in", "a"}
