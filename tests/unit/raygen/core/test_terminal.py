"""Texts from outside, made harmless for a terminal."""

import json

import pytest

from raygen.core import json_text, visible, visible_characters, visible_line
from tests.support.hostile_texts import HOSTILE, harmful


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_a_terminal_obeys_or_hides_is_left(text: str) -> None:
    assert harmful(text)
    for shown in (visible(text), visible_line(text), visible_characters(text)):
        assert not harmful(shown)
    assert visible(text) != text
    assert len(visible_characters(text)) == len(text)
    assert len(visible_line(text).splitlines()) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_json_is_harmless_and_means_the_same(text: str) -> None:
    value = {text: [text, 1]}
    shown = json_text(value, indent=2)
    assert not harmful(shown)
    assert json.loads(shown) == value


@pytest.mark.parametrize(
    "text",
    [
        "plain, with a tab\tand\nlines",
        "Grüße, 漢字, हिन्दी, עברית, عربي",
        "می\u200cخواهم",
        "क्\u200dष",
        "👩\u200d👩\u200d👧 ❤️ 🏳️\u200d🌈 e\u0301",
        "[bold]not markup[/bold] :smile: {{ row }}",
        "no\u00a0break, \ue000 of its own font",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


def test_a_line_is_one_line_and_says_where_it_broke() -> None:
    assert visible_line("a\nb\r\nc\td") == "a␊b␊c␉d"
    assert visible("a\r\nb\rc\x1b[8m\x7f\x9b") == "a\nb␍c␛[8m␡\ufffd"
