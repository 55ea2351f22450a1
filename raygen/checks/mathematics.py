"""Tell whether two mathematical answers are equal: part by part, and each part by its number.

Only a part that is neither a number nor a text is asked of `algebra`, which takes milliseconds.
Whatever can't be read as equal isn't.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from raygen.checks.notation import LONGEST, canonical
from raygen.checks.numbers import Quantity, read_quantity, same_quantity
from raygen.checks.structure import Node, Parts, Relation, Term, interval, structure
from raygen.checks.units import read_unit, same_unit
from raygen.checks.words import same_words

Algebra = Callable[[str, str], bool]
"""Tells whether two expressions are equal whatever their variables are."""

_MOST_ITEMS = 100
_LONGEST_WITH_UNIT = 200
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "log",
        "ln",
        "exp",
        "sqrt",
        "frac",
        "cdot",
        "pi",
        "binom",
        "circ",
        "infty",
        "le",
        "ge",
        "ne",
        "pm",
        "cup",
        "cap",
        "emptyset",
        "theta",
        "alpha",
        "beta",
        "gamma",
        "delta",
        "lambda",
        "mu",
        "phi",
        "omega",
        "sigma",
        "rho",
        "max",
        "min",
        "gcd",
        "lcm",
        "mod",
        "sum",
        "prod",
        "int",
        "lim",
        "det",
        "overline",
        "begin",
        "end",
        "pmatrix",
        "bmatrix",
        "vmatrix",
        "matrix",
        "to",
        "dots",
        "prime",
        "mathbb",
        "angle",
        "triangle",
        "nabla",
        "partial",
        "tau",
        "epsilon",
    ]
)
_WORD = re.compile(r"\\?[A-Za-z]{2,}")
_NO_ALGEBRA = re.compile(r"[A-Za-z0-9] \d|\d:\d|\d_|\d[eE]\d|[?#@~&]|\+\+|--|['\"]")
_COMMAND = re.compile(r"\\[A-Za-z]+ ?")
_RANGE = re.compile(r"[\d.,]+(?:-[\d.,]+)+")
_NAME = re.compile(
    r"(?:[A-Za-z]\w?(?:_\{?\w+\}?)?'?|\\[a-z]+|[A-Za-z]\([^()=]*\)|[A-Za-z][A-Za-z ]{2,40})\s*"
)


class Undecided(Exception):  # noqa: N818 - no fault
    """Two answers that nothing but algebra can compare."""


def same_mathematics(one: str, other: str, algebra: Algebra) -> bool:
    """Tell whether two answers are the same, whatever their notation."""
    if max(len(one), len(other)) > LONGEST:
        return same_words(one, other)
    return _same_text(one, other, algebra)


def _same_text(one: str, other: str, algebra: Algebra) -> bool:
    a, b = read_quantity(one), read_quantity(other)
    if a is not None and b is not None:
        return same_quantity(a, b)
    first, second = canonical(one), canonical(other)
    if first and first == second:
        return True
    return _same_node(_structure(first), _structure(second), algebra)


@lru_cache(maxsize=4096)
def _structure(text: str) -> Node:
    return structure(text)


def _same_node(one: Node, other: Node, algebra: Algebra) -> bool:
    if isinstance(one, Term) and isinstance(other, Term):
        return _same_term(one.text, other.text, algebra)
    if isinstance(one, Relation) and isinstance(other, Relation):
        return _same_relation(one, other, algebra)
    if isinstance(one, Relation) or isinstance(other, Relation):
        relation, plain = (one, other) if isinstance(one, Relation) else (other, one)
        assert isinstance(relation, Relation)  # noqa: S101 - one of them is
        return _stands_for(relation, plain, algebra)
    if isinstance(one, Parts) and isinstance(other, Parts):
        return _same_parts(one, other, algebra)
    parts, term = (one, other) if isinstance(one, Parts) else (other, one)
    assert isinstance(parts, Parts) and isinstance(term, Term)  # noqa: S101, PT018
    if parts.kind == "list" and len(parts.items) == 1:
        return _same_node(parts.items[0], term, algebra)
    if parts.kind == "list":
        return same_words(_text(parts), term.text)
    return False


def _same_parts(one: Parts, other: Parts, algebra: Algebra) -> bool:
    if one.kind != other.kind or not len(one.items) == len(other.items) <= _MOST_ITEMS:
        return False
    if len(one.items) > 1 and _names(one) != _names(other) and _names(one) and _names(other):
        return False
    if (len(_names(one)) > 1) != (len(_names(other)) > 1):
        return False
    if one.ordered:
        pairs = zip(one.items, other.items, strict=True)
        return all(_same_node(a, b, algebra) for a, b in pairs)
    left = list(other.items)
    for item in one.items:
        match = next((each for each in left if _same_node(item, each, algebra)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _names(parts: Parts) -> set[str]:
    """List the variables that the items of a list are assigned to."""
    return {
        item.terms[0].strip()
        for item in parts.items
        if isinstance(item, Relation) and item.is_equation
    }


def _same_relation(one: Relation, other: Relation, algebra: Algebra) -> bool:
    if one.signs == other.signs and _same_texts(one.terms, other.terms, algebra):
        return True
    if len(one.terms) != 2 or one.signs != other.signs:
        return False
    symmetric = one.signs[0] in ("=", r"\ne")
    if symmetric and _same_texts(one.terms, other.terms[::-1], algebra):
        return True
    texts = [*one.terms, *other.terms]
    if not all(map(_is_algebra, texts)) or not symmetric:
        return False
    (a, b), (c, d) = one.terms, other.terms
    # Both sides times a number make the same equation: compared where that is 1 or -1.
    difference, turned = f"({a})-({b})", f"({b})-({a})"
    return algebra(difference, f"({c})-({d})") or algebra(turned, f"({c})-({d})")


def _same_texts(one: Sequence[str], other: Sequence[str], algebra: Algebra) -> bool:
    return len(one) == len(other) and all(
        _same_text(a, b, algebra) for a, b in zip(one, other, strict=True)
    )


def _stands_for(relation: Relation, plain: Node, algebra: Algebra) -> bool:
    """Tell whether `x = 5` gives the plain answer 5, or `x > 3` the interval from 3."""
    if isinstance(plain, Parts):
        bounds = interval(relation)
        if bounds is not None and plain.kind in ("()", "[)", "(]", "[]"):
            return _same_parts(bounds, plain, algebra)
    if not relation.is_equation:
        return False
    named = _NAME.fullmatch(relation.terms[0]) is not None
    if not named and not all(_is_constant(term) for term in relation.terms[:-1]):
        return False
    value = _structure(relation.terms[-1])
    if isinstance(plain, Term) and isinstance(value, Term):
        return _same_text(plain.text, value.text, algebra)
    return _same_node(value, plain, algebra)


def _is_constant(term: str) -> bool:
    return re.fullmatch(r"[\d\s.,+*/()$-]|\\cdot|(?:[\d\s.,+*/()$-]|\\cdot)+", term) is not None


def _same_term(one: str, other: str, algebra: Algebra) -> bool:
    a, b = read_quantity(one), read_quantity(other)
    if a is not None and b is not None:
        return same_quantity(a, b)
    if same_words(one, other):
        return True
    (one, unit), (other, other_unit) = _without_unit(one, a), _without_unit(other, b)
    if not same_unit(unit, other_unit) or not _is_algebra(one) or not _is_algebra(other):
        return False
    return one == other or algebra(one, other)


def _without_unit(text: str, quantity: Quantity | None) -> tuple[str, str]:
    r"""Split a term from the unit behind it: `12\pi square units`."""
    if quantity is not None:
        return text, quantity.unit
    if len(text) > _LONGEST_WITH_UNIT:
        return text, ""
    for match in re.finditer(r"(?<=[\d})A-Za-z\]]) (?=[A-Za-z])|(?=\^\{\\circ\})|\\%\Z", text):
        unit = "" if match[0] == r"\%" else read_unit(text[match.end() :], match[0] == " ")
        before = text[: match.start()].strip()
        if unit and _is_algebra(before) and not re.search(r"\\[A-Za-z]+\Z(?<!\\pi)", before):
            return before, unit
    return text, ""


def _is_algebra(text: str) -> bool:
    """Tell whether a text may be read as an expression: it has no words of a language in it."""
    if not text or _RANGE.fullmatch(text) or _NO_ALGEBRA.search(_COMMAND.sub(";", text)):
        return False
    return all(
        word.startswith("\\") or len(word) == 2 or word in _FUNCTIONS
        for word in _WORD.findall(text)
    )


def _text(parts: Parts) -> str:
    return ", ".join(item.text for item in parts.items if isinstance(item, Term))
