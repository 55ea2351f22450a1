"""Rating: items one by one at a terminal, and a person's verdict on each.

Blind: nothing on the screen says what became of an item. Every verdict is saved as it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.cli.pager import Screen, look
from raygen.core import Task
from raygen.inspection.browse import Items, Verdict, Word
from raygen.views import blind_view

_KEYS = "k keep   f fix   d drop   n note   u undo   q quit"
_WORDS: Mapping[str, Word] = {"k": "keep", "f": "fix", "d": "drop"}


class Asking(Screen, Protocol):
    """A screen that a line can be typed at, too."""

    def ask(self, question: str) -> str:
        """A line of the user's; empty where there is nothing to say."""
        ...


def rate(
    items: Items,
    plan: str,
    given: Sequence[Verdict],
    save: Callable[[Mapping[str, Verdict]], None],
    screen: Asking,
    show: tuple[Task, bool],
) -> int:
    """Ask for a verdict on each item that has none; how many are left when the user quits.

    `save` takes all verdicts by item, those `given` before among them. `show` is the task, and
    whether long texts are shown in full.
    """
    verdicts = {one.item: one for one in given}
    todo = [at for at, ref in enumerate(items.refs) if ref.id not in verdicts]
    note, done = "", 0
    while done < len(todo):
        item = items[todo[done]]
        foot = f"{len(items) - len(todo) + done + 1} of {len(items)}   {_KEYS}"
        key = look(_screen(blind_view(item, *show), note), foot, screen)
        if key == "q":
            break
        if key == "n":
            note = screen.ask("note: ")
        elif key == "u" and done:
            done -= 1
            note = verdicts.pop(items.refs[todo[done]].id).note
            save(verdicts)
        elif word := _WORDS.get(key):
            verdicts[item.ref.id] = Verdict.on(item.ref, plan, word, note)
            save(verdicts)
            note, done = "", done + 1
    return len(todo) - done


def _screen(thing: RenderableType, note: str) -> RenderableType:
    return Group(thing, Text(), Text(f"note: {note}", style="cyan")) if note else thing
