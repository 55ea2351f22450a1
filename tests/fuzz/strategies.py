"""What strangers may hand in: values, texts, rows and answers, from plain to hostile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from hypothesis import strategies as st

NASTY = (
    "", " ", "\x00", "\ufeff", "\u202e", "\ud800", "\u2028", "\r\n", "\t", "e\u0301", "ſ", "ß", "ﬆ",
    "İ",
    "٣", "１", "null", "true", "NaN", "-0", "1e999", "9" * 5000, "(a)", "A", "b.", "(b) or (c)",
    "{{ question }}", "{{ 7*7 }}", "{% for i in range(9) %}x{% endfor %}", "{# #}", "${env:HOME}",
    "So the answer is (b).", "The answer is: (c)", "#### 42", "\\boxed{b}", '{"answer": "b"}',
    '{"answer": ' + "9" * 5000 + "}", "```json\n{\"answer\": \"a\"}\n```", "<think>", "</think>",
    "Q: What?\nA:", "Answer:", "not (b)", "neither A nor B", "none of the above", "!!python/object",
    "&a [*a]", "*a", "<<: *a", "- - - -", "[" * 200, "{" * 200, "'; DROP TABLE rows; --", "../../x",
    "<script>alert(1)</script>", "\x1b[31m", "=cmd|' /C calc'!A0", "%s%n", "a" * 3000, "\n" * 2000,
    " " * 3000, "best " * 400, "and " * 400, "(a) " * 300, "answer is " * 300, "{\"a\":" * 400,
)  # fmt: skip
"""Texts that broke somebody's parser once."""

anything = st.text(max_size=60)
printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
hostile = st.one_of(
    st.sampled_from(NASTY),
    anything,
    st.lists(st.sampled_from(NASTY) | anything, min_size=1, max_size=4).map(" ".join),
    st.builds(lambda text, times: text * times, st.sampled_from(NASTY), st.integers(1, 6)),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.integers(-(2**70), 2**70),
    st.floats(),
    hostile,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=8,
)

_WORDS = ("river", "bank", "cold milk", "an oven", "Paris", "the sky", "42 km", "red apple", "tree")
choices = st.lists(
    st.sampled_from(_WORDS) | st.text(alphabet="klmnop ", min_size=3, max_size=12).map(str.strip),
    min_size=2,
    max_size=6,
    unique_by=lambda option: option.casefold().removeprefix("the ").removeprefix("an "),
).filter(lambda options: all(len(option) > 2 for option in options))
"""Options that no letter, number or other option is taken for."""


_LOREM = (
    "lorem", "ipsum", "dolor", "sit", "amet", "It", "is", "A", "I", "a", "the", "of", "3", "-7",
    "4.5", "=", "$x$", "**so**", "und", "der", "la", "que", "это", "的", "は", "이", "?", "!", ",",
)  # fmt: skip
noise = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=12, max_size=200),
    st.lists(st.sampled_from(_LOREM), min_size=8, max_size=60).map(" ".join),
)
"""Texts that say nothing: signs of any script, or words that name no option."""


@st.composite
def good_rows(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A multiple-choice row in one of the forms that are documented, and its answer's index."""
    options = draw(choices)
    index = draw(st.integers(0, len(options) - 1))
    letter = ascii_uppercase[index]
    marks = draw(st.permutations(ascii_uppercase[: len(options)]))
    numbers = [str(n) for n in draw(st.permutations(range(1, len(options) + 1)))]
    question = draw(printable.filter(lambda text: text.strip()))
    form = draw(st.integers(0, 8))
    given: tuple[Any, Any] = (
        (options, index),
        (options, float(index)),
        (options, letter),
        (options, letter.lower()),
        (options, f" {letter} "),
        (options, f" {options[index]}\n"),
        ({"label": list(marks), "text": options}, marks[index] + draw(st.sampled_from(["", " "]))),
        ({"label": numbers, "text": options}, numbers[index]),
        ({"label": numbers, "text": options}, int(numbers[index])),
    )[form]
    extra = draw(st.dictionaries(st.sampled_from(["id", "note", "key", "label", "n"]), values))
    return {**extra, "question": question, "choices": given[0], "answer": given[1]}, index


rows = st.one_of(
    good_rows().map(lambda pair: pair[0]),
    st.dictionaries(
        st.sampled_from(["question", "choices", "answer", "text", "label", "id", "é", ""]), values
    ),
    st.fixed_dictionaries(
        {"question": hostile, "choices": st.lists(scalars, max_size=30), "answer": scalars}
    ),
    st.fixed_dictionaries({"text": hostile, "label": scalars}),
)


def as_json(value: Any) -> bytes:
    """JSON as careless programs write it: NaN, and half characters."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


lines = st.one_of(
    rows.map(as_json),
    rows.map(lambda row: json.dumps(row).encode()),
    values.map(as_json),
    st.binary(max_size=60),
    hostile.map(lambda text: text.encode("utf-8", "surrogatepass")),
    rows.map(lambda row: as_json(row)[:-3]),
    rows.map(lambda row: json.dumps(row, ensure_ascii=False).encode("utf-16", "surrogatepass")),
)
files = st.lists(lines, max_size=5).flatmap(
    lambda parts: st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r", b"\x00", b","]).map(
        lambda between: between.join(parts)
    )
)


@st.composite
def damaged(draw: st.DrawFn, whole: Any, junk: st.SearchStrategy[Any] = values) -> Any:
    """Plain data in which some values are replaced, removed, renamed or put beside others."""
    data = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = data
        while True:
            inside: list[Any] = list(at) if isinstance(at, Mapping) else list(range(len(at)))
            if not inside:
                break
            key = draw(st.sampled_from(inside))
            if isinstance(at[key], Mapping | list) and at[key] and draw(st.integers(0, 3)):
                at = at[key]
                continue
            how = draw(st.integers(0, 3))
            if how == 0:
                del at[key]
            elif how == 1 and isinstance(at, dict):
                at[draw(anything)] = draw(junk)
            else:
                at[key] = draw(junk)
            break
    return data
