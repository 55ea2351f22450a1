"""The pager: which thing is on the screen after which keys, and what is longer than it."""

from __future__ import annotations

import pytest
from rich.text import Text

from raygen.cli.pager import page
from tests.support.screens import FakeScreen


def seen(keys: list[str], lines: int = 1, size: tuple[int, int] = (80, 12)) -> list[str]:
    """The first line of each screen."""
    screen = FakeScreen(keys, size)
    page(5, lambda at: Text("\n".join(f"{at}.{line}" for line in range(lines))), screen)
    assert all(len(shown.splitlines()) < size[1] for shown in screen.shown)
    return [shown.splitlines()[0] for shown in screen.shown]


@pytest.mark.parametrize(
    ("keys", "things"),
    [
        (["n", "\r", "\x1b[C", " "], "01234"),
        (["\x1b[B", "p", "p"], "0100"),
        (["G", "n", "g"], "0440"),
        (["x", "\x1b[D"], "000"),
        (["n", "\x03", "n"], "01"),
    ],
)
def test_keys_lead_from_one_to_the_next(keys: list[str], things: str) -> None:
    assert seen(keys) == [f"{thing}.0" for thing in things]


def test_what_is_longer_than_the_screen_is_scrolled_first() -> None:
    found = seen([" ", " ", " ", " ", "b", "n"], lines=20)
    assert found == ["0.0", "0.8", "0.11", "1.0", "1.8", "1.0", "2.0"]


def test_the_last_line_says_where_one_is_and_which_keys_there_are() -> None:
    screen = FakeScreen([])
    page(1234, lambda at: Text("x"), screen)
    assert screen.shown[0].splitlines()[-1].startswith("1 of 1234   n next   p previous")
