"""One verdict by one checker: what `how` names decides, and says why.

Knows nothing of where an answer comes from.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

import regex

from raygen.checks.algebra import AlgebraError, same_expression
from raygen.checks.code import check_code
from raygen.checks.json_schema import find_mismatch
from raygen.checks.mathematics import Undecided, same_mathematics
from raygen.checks.numbers import read_quantity, same_quantity
from raygen.checks.verdict import How, Verdict
from raygen.checks.words import same_words

_PATTERN_S = 1.0
_FENCED = regex.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", regex.DOTALL | regex.IGNORECASE)


def check(answer: Any, gold: Any, how: How, options: Sequence[str] = ()) -> Verdict:
    """Decide whether `answer` is right by `gold`.

    Args:
        answer: The answer as it was read: a text, an option's index, a JSON value. None is wrong.
        gold: What it is held against; by `regex` a pattern that must be found in the answer, by
            `json_schema` the schema.
        how: The checker. `code` and `model` have functions of their own.
        options: By `option`, the options' texts.

    May take seconds by `math` and `json_schema`, which ask another process where they must.
    """
    started = time.perf_counter()
    if answer is None or answer == "":
        verdict = Verdict(False, how, "no answer")
    else:
        verdict = _DECIDE[how](answer, gold, options)
    return replace(verdict, seconds=time.perf_counter() - started)


def settle(answer: Any, gold: Any, how: How, options: Sequence[str] = ()) -> Verdict | None:
    """Decide as `check` does where that takes no other process; None where it would."""
    if how == "math" and isinstance(answer, str) and answer:
        started = time.perf_counter()
        try:
            verdict = _by_math(answer, gold, options, algebra=_undecided)
        except Undecided:
            return None
        return replace(verdict, seconds=time.perf_counter() - started)
    return None if how in ("code", "model", "json_schema") else check(answer, gold, how, options)


async def decide(answer: Any, gold: Any, how: How, options: Sequence[str] = ()) -> Verdict:
    """Decide as `check` or `check_code` does; other tasks go on while another process works."""
    if how == "code":
        return await asyncio.to_thread(check_code, str(answer or ""), gold)
    settled = settle(answer, gold, how, options)
    if settled is not None:
        return settled
    return await asyncio.to_thread(check, answer, gold, how, options)


def _undecided(one: str, other: str) -> bool:
    raise Undecided(one, other)


def _by_math(
    answer: Any,
    gold: Any,
    options: Sequence[str],
    algebra: Callable[[str, str], bool] = same_expression,
) -> Verdict:
    try:
        equal = same_mathematics(str(answer), str(gold), algebra)
    except AlgebraError as error:
        return Verdict(False, "math", f"{_pair(answer, gold)} take too much {error} to compare")
    return _compared(equal, "math", answer, gold)


def _by_number(answer: Any, gold: Any, options: Sequence[str]) -> Verdict:
    a, b = read_quantity(str(answer)), read_quantity(str(gold))
    if a is None or b is None:
        return Verdict(False, "number", f"{_short(gold if b is None else answer)} is no number")
    return _compared(same_quantity(a, b), "number", answer, gold)


def _by_words(answer: Any, gold: Any, options: Sequence[str]) -> Verdict:
    return _compared(same_words(str(answer), str(gold)), "exact", answer, gold)


def _by_option(answer: Any, gold: Any, options: Sequence[str]) -> Verdict:
    if type(answer) is int and type(gold) is int:
        return _compared(answer == gold, "option", answer, gold)
    a, b = _option(answer, options), _option(gold, options)
    if a is None or b is None:
        return Verdict(False, "option", f"{_short(gold if b is None else answer)} is no option")
    return _compared(a == b, "option", a, b)


def _option(value: Any, options: Sequence[str]) -> int | None:
    """Return the index of the option that a value is: an index, a letter, or the option's text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, int):
        return value if 0 <= value < (len(options) or len(ascii_uppercase)) else None
    if value in options:
        return options.index(value)
    alike = [k for k, option in enumerate(options) if same_words(option, value)]
    if len(alike) == 1:
        return alike[0]
    letter = value.strip().strip("().").upper()
    known = ascii_uppercase[: len(options)] if options else ascii_uppercase
    return known.index(letter) if len(letter) == 1 and letter in known else None


def _by_pattern(answer: Any, gold: Any, options: Sequence[str]) -> Verdict:
    try:
        found = regex.search(str(gold), str(answer), timeout=_PATTERN_S) is not None
    except regex.error as error:
        raise ValueError(f"{_short(gold)} is no regular expression: {error}") from error
    except TimeoutError:
        reason = f"the pattern {_short(gold)} takes more than {_PATTERN_S:g} s"
        return Verdict(False, "regex", reason)
    return Verdict(found, "regex", f"{_short(gold)} is {'' if found else 'not '}in the answer")


def _by_schema(answer: Any, gold: Any, options: Sequence[str]) -> Verdict:
    schema = json.loads(gold) if isinstance(gold, str) else gold
    if not isinstance(schema, Mapping):
        raise ValueError(f"{_short(gold)} is no JSON schema; expected an object")
    value = answer
    if isinstance(answer, str):
        fenced = _FENCED.findall(answer)
        try:
            value = json.loads(fenced[0] if len(fenced) == 1 else answer)
        except (ValueError, RecursionError) as error:
            return Verdict(False, "json_schema", f"no JSON: {error}")
    fault = find_mismatch(value, schema)
    return Verdict(fault is None, "json_schema", fault or "of the schema")


def _compared(equal: bool, how: How, answer: Any, gold: Any) -> Verdict:
    return Verdict(equal, how, f"{_pair(answer, gold)} are {'equal' if equal else 'not equal'}")


def _pair(answer: Any, gold: Any) -> str:
    return f"{_short(answer)} and {_short(gold)}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"


_DECIDE: Mapping[How, Callable[[Any, Any, Sequence[str]], Verdict]] = {
    "option": _by_option,
    "math": _by_math,
    "number": _by_number,
    "exact": _by_words,
    "regex": _by_pattern,
    "json_schema": _by_schema,
}
