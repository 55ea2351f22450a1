"""Values as marked text: what a reader of a colourless terminal sees."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.task import TASKS
from raygen.inspection.marks import bar, changed_words, marked, masks, option, spans

TASK = TASKS["multiple_choice"]
ROW: dict[str, Any] = {"question": "What is it?", "choices": ["sand", "snow"], "answer": 1}


def shown(name: str, value: Any, **row: Any) -> str:
    return marked(name, value, {**ROW, **row, name: value}, TASK, ROW).plain


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("target", 1, "B. snow"),
        ("label", 0, "A. sand"),
        ("predicted", 7, "7"),
        ("sample", 1, "1"),
        (
            "agreement",
            0.6,
            "\u2501\u2501\u2501\u2501\u2501\u2501\u2501\u254c\u254c\u254c\u254c\u254c 60 %",
        ),
        ("diversity", 0.251, "25 %"),
        ("logprob", -1.23456, "-1.235"),
        ("logprob", 0.5, "0.5"),
        ("edit_distance", 3.0, "3"),
        ("names_answer", True, "true"),
        ("fills", ["a", "b"], '["a", "b"]'),
        ("scores", {"clear": 3, "true": 5}, "clear 3, true 5"),
        ("anything", {"a": {"b": 1}}, '{"a": {"b": 1}}'),
        ("empty", {}, "{}"),
    ],
)
def test_values(name: str, value: Any, text: str) -> None:
    assert shown(name, value) == text


def test_a_label_of_a_classification_is_its_text() -> None:
    task = replace(TASKS["classification"], labels=("bad", "good"))
    assert marked("target", 1, {"text": "x"}, task, None).plain == "B. good"


def test_probabilities_are_bars_the_likeliest_first() -> None:
    lines = shown("probabilities", {"sand": 0.25, "snow": 0.75}).splitlines()
    assert [(line.split()[0], line.split()[-2]) for line in lines] == [
        ("snow", "75"),
        ("sand", "25"),
    ]
    assert shown("soft_labels", {"sand": log(0.25), "snow": log(0.75)}).splitlines() == lines


def test_votes_show_every_option_that_has_some_and_what_could_not_be_read() -> None:
    votes = {"counts": {"sand": 1, "snow": 3, "rain": 0}, "unread": 1}
    lines = shown("votes", votes).splitlines()
    assert [line.split()[0] for line in lines] == ["snow", "sand", "(not"]
    assert lines[0].endswith("60 %  3 of 5")


def test_masks_and_masked_spans_are_marked() -> None:
    assert masks("a [MASK] b").spans[0].style == "black on yellow"
    offsets = [{"start": 12, "end": 16}, {"start": 0, "end": 3}]
    assert spans("The farmer's barn", offsets).plain == "[The] farmer's[ bar]n"
    assert shown("masked_spans", [{"start": 8, "end": 10}]) == "What is [it]?"


def test_changed_words_are_marked_both_ways() -> None:
    text = changed_words("Keep the milk cold.", "Keep fresh bread very cold.").plain
    assert text == "Keep [-the milk-]{+fresh bread very+} cold."
    assert changed_words("a b", "a b").plain == "a b"
    assert changed_words("a", "a b").plain == "a{+ b+}"
    assert shown("question", "What was it?", original="What is it?") == "What [-is-]{+was+} it?"
    assert shown("question", "What is it?") == "What is it?"


@given(st.text("ab .,", max_size=30), st.text("ab .,", max_size=30))
def test_a_diff_holds_both_texts(old: str, new: str) -> None:
    diff = changed_words(old, new)
    gone = {(span.start, span.end) for span in diff.spans if span.style == "red"}
    came = {(span.start, span.end) for span in diff.spans if span.style == "green"}
    rebuilt_old, rebuilt_new, position = "", "", 0
    for start, end in sorted(gone | came):
        same = diff.plain[position:start]
        rebuilt_old, rebuilt_new = rebuilt_old + same, rebuilt_new + same
        inner = diff.plain[start + 2 : end - 2]
        rebuilt_old += inner if (start, end) in gone else ""
        rebuilt_new += inner if (start, end) in came else ""
        position = end
    rest = diff.plain[position:]
    assert (rebuilt_old + rest, rebuilt_new + rest) == (old, new)


@given(st.floats(0, 1))
def test_bars_have_the_same_width(share: float) -> None:
    assert bar(share).plain.index(" ") == 12


def test_an_option_is_a_letter_and_a_text() -> None:
    assert option(1, ["sand", "snow"]) == "B. snow"
