"""How a question reads to a student: its words, its lettered options, and what is to be answered.

Knows nothing of models or of who answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase


def prompt_text(
    question: str, choices: Sequence[str], control: str = "", refuted: str | None = None
) -> str:
    """Write a student's input: the question and its lettered options.

    `choices` are the options' texts, `control` is the view's control token, which comes first, and
    `refuted` is the option that the rationale is to argue against, None in other views.
    """
    options = "\n".join(
        f"({letter}) {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False)
    )
    before = f"{control} " if control else ""
    task = f"Refute: {refuted}\n" if refuted else ""
    return f"{before}Question: {question.strip()}\nOptions:\n{options}\n{task}Answer:"
