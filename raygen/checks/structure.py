r"""What a mathematical answer is made of: a list, tuple, interval, set, matrix, relation or term.

Knows nothing of which two are equal. Its input is in the spelling of `canonical`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MATRIX = re.compile(r"\\begin\{([pbvBV]?matrix|cases)\}(.*)\\end\{\1\}")
_RELATIONS = re.compile(r"\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z])|!=|[<>=≈]")
_TURNED = {r"\ge": r"\le", ">": "<"}
_OPENING = {"(": ")", "[": "]", "{": "}"}
_SEPARATED = re.compile(r"\s*(?:,|;|\\\\)\s*(?:(?:and|or)\s)?|\s(?:and|or|\\text and)\s")
_INFINITY = r"\infty"


@dataclass(frozen=True, slots=True)
class Term:
    """An expression that has no parts here."""

    text: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Several answers in one; `kind` is a pair of brackets, `list`, `union` or a matrix's shape."""

    kind: str
    items: tuple[Node, ...]

    @property
    def ordered(self) -> bool:
        """Whether the order of the items counts."""
        return self.kind not in ("list", "union")


@dataclass(frozen=True, slots=True)
class Relation:
    """Terms in a chain, `signs` between them; turned so that none is greater than its next."""

    terms: tuple[str, ...]
    signs: tuple[str, ...]

    @property
    def is_equation(self) -> bool:
        """Whether it says that all its terms are equal."""
        return set(self.signs) == {"="}


Node = Term | Parts | Relation


def structure(text: str) -> Node:
    """Take an answer apart at its outermost signs."""
    text = text.strip()
    pieces = _split(text, re.compile(r"\\cup(?![A-Za-z])"))
    if len(pieces) > 1:
        return Parts("union", tuple(structure(piece) for piece in pieces))
    pieces = _split(text, _SEPARATED)
    if len(pieces) > 1 and all(pieces):
        return Parts("list", tuple(structure(piece) for piece in pieces))
    member = _split(text, re.compile(r"\\in(?![A-Za-z])"))
    if len(member) == 2 and re.fullmatch(r"[A-Za-z]", member[0].strip()):
        return structure(member[1])
    relation = _relation(text)
    if relation is not None:
        return relation
    matrix = _MATRIX.fullmatch(text)
    if matrix is not None:
        return _matrix(matrix[1], matrix[2])
    return _expanded(text) or _bracketed(text) or Term(text)


def _matrix(kind: str, body: str) -> Parts:
    rows = [row.strip() for row in re.split(r"\\\\(?![A-Za-z])|\\\\", body)]
    cells = [[cell.strip() for cell in row.split("&")] for row in rows if row]
    shape = "x".join(str(len(row)) for row in cells)
    frame = kind if kind in ("vmatrix", "Vmatrix", "cases") else "matrix"
    return Parts(f"{frame} {shape}", tuple(structure(cell) for row in cells for cell in row))


def _relation(text: str) -> Relation | None:
    found = [match for match, depth in _outside(text, _RELATIONS) if depth == 0]
    if not found:
        return None
    ends = [0, *(match.end() for match in found)]
    starts = [*(match.start() for match in found), len(text)]
    terms = [text[a:b].strip() for a, b in zip(ends, starts, strict=True)]
    signs = [match[0].replace("!=", r"\ne") for match in found]
    if not all(terms):
        return None
    if set(signs) <= {*_TURNED, "="} and set(signs) != {"="}:
        terms.reverse()
        signs = [_TURNED.get(sign, sign) for sign in reversed(signs)]
    return Relation(tuple(terms), tuple(signs))


def interval(relation: Relation) -> Parts | None:
    """Write a relation of one variable between bounds as the interval that it names."""
    variable = re.compile(r"[A-Za-z]")
    bounds = ("<", r"\le")
    if not set(relation.signs) <= set(bounds):
        return None
    left, right = (re.sub(r" ", "", term) for term in (relation.terms[0], relation.terms[-1]))
    if len(relation.terms) == 3 and variable.fullmatch(relation.terms[1].strip()):
        low, high = relation.signs
        kind = ("(" if low == "<" else "[") + (")" if high == "<" else "]")
        return Parts(kind, (structure(relation.terms[0]), structure(relation.terms[2])))
    if len(relation.terms) != 2:
        return None
    if variable.fullmatch(left) and not variable.fullmatch(right):
        kind = "()" if relation.signs[0] == "<" else "(]"
        return Parts(kind, (Term("-" + _INFINITY), structure(relation.terms[1])))
    if variable.fullmatch(right):
        kind = "()" if relation.signs[0] == "<" else "[)"
        return Parts(kind, (structure(relation.terms[0]), Term(_INFINITY)))
    return None


def _expanded(text: str) -> Parts | None:
    r"""Write `1 \pm x` as its two values."""
    if len(re.findall(r"\\pm(?![A-Za-z])", text)) != 1 or "\\mp" in text:
        return None
    plus = re.sub(r"\\pm ?", "+", text)
    minus = re.sub(r"\\pm ?", "-", text)
    return Parts("list", (Term(plus.removeprefix("+")), Term(minus)))


def _bracketed(text: str) -> Node | None:
    """Take what is all within one pair of brackets apart: a tuple, an interval, a set."""
    if text.startswith(r"\{") and text.endswith(r"\}"):
        inside = text[2:-2]
        if not inside.strip():
            return Term(r"\emptyset")
        if "|" in inside or ":" in inside:
            return Term(text)
        pieces = _split(inside, re.compile(","))
        return Parts("list", tuple(structure(piece) for piece in pieces))
    if text.startswith(r"\langle") and text.endswith(r"\rangle"):
        pieces = _split(text[7:-7], re.compile(","))
        return Parts("<>", tuple(structure(piece) for piece in pieces))
    if len(text) < 3 or text[0] not in "([" or text[-1] not in ")]" or not _encloses(text):
        return None
    pieces = _split(text[1:-1], re.compile("[,;]"))
    if not all(piece.strip() for piece in pieces):
        return None
    kind = text[0] + text[-1]
    if len(pieces) == 1:
        return structure(pieces[0]) if kind == "()" else Parts(kind, (structure(pieces[0]),))
    return Parts(kind, tuple(structure(piece) for piece in pieces))


def _encloses(text: str) -> bool:
    """Tell whether the first bracket is closed by the last one."""
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and at < len(text) - 1:
            return False
    return depth == 0


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Cut a text at a separator outside of all brackets; of thousands no comma separates."""
    pieces, start = [], 0
    for match, depth in _outside(text, separator):
        thousands = match[0] == "," and re.match(r",\d{3}(?!\d)", text[match.start() :])
        if depth or (
            thousands and re.search(r"(?<![\d,])\d{1,3}(?:,\d{3})*\Z", text[: match.start()])
        ):
            continue
        pieces.append(text[start : match.start()])
        start = match.end()
    return [*pieces, text[start:]]


def _outside(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], int]]:
    """Yield each match of a pattern with how deep in brackets or environments it stands."""
    depths, depth = [], 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") or text.startswith((r"\langle", r"\begin"), at)
        depths.append(depth)
        depth -= (sign in ")]}") or text.startswith((r"\rangle", r"\end{"), at)
    for match in pattern.finditer(text):
        yield match, depths[match.start()] if match.start() < len(depths) else depth
