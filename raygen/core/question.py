"""How a question reads to whoever is to answer it: the question, its lettered options, and what is
asked of them.

Knows nothing of models or of who answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase


def prompt_text(
    question: str, choices: Sequence[str], control: str = "", refuted: str | None = None
) -> str:
    """Return the input: the question and its lettered options, behind the view's control token.

    `refuted` is the option that the rationale is to speak against.
    """
    options = "\n".join(
        f"({letter}) {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False)
    )
    before = f"{control} " if control else ""
    task = f"Refute: {refuted}\n" if refuted else ""
    return f"{before}Question: {question.strip()}\nOptions:\n{options}\n{task}Answer:"
