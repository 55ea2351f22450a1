"""Questions and answers in free text, from conversations and from lists of answers.

Knows nothing of columns' names in a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygen.core.answers import read_gold

_ROLES = {
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant",
    "chatgpt": "assistant", "system": "system",
}  # fmt: skip
_ROLE_KEYS = ("role", "from")
_TEXT_KEYS = ("content", "value", "text")

Turn = tuple[str, str]
"""A role (user, assistant or system) and what it says."""


def read_free_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the question of a row without options, and its gold answer, into plain texts.

    The question may be a conversation, which may give the answer too; of several gold answers the
    first counts; and a worked solution that stands in the place of the answer becomes `solution`.
    """
    read = dict(row)
    conversation = read_conversation(row.get("question"))
    if conversation is not None:
        read["question"], answer = conversation
        if row.get("answer") is None and answer is not None:
            read["answer"] = answer
        return read
    answer = first_answer(row.get("answer"))
    if isinstance(answer, str) and "solution" not in row:
        gold = read_gold(answer)
        if gold.solution is not None:
            return {**read, "answer": gold.text, "solution": gold.solution}
    return {**read, "answer": answer} if answer is not row.get("answer") else read


def read_conversation(value: Any) -> tuple[str, str | None] | None:
    """Read a conversation as a question and its answer; None for what is no conversation.

    Turns are {role, content}, {from, value}, or texts of which the first is the user's. The last
    turn of an assistant is the answer, and what comes before it the question: the user's words
    where there are no others, else all turns with who speaks.
    """
    turns = _turns(value)
    if not turns or not any(role == "user" for role, _ in turns):
        return None
    answer = None
    last = max((at for at, (role, _) in enumerate(turns) if role == "assistant"), default=None)
    if last is not None and any(role == "user" for role, _ in turns[:last]):
        answer, turns = turns[last][1], turns[:last]
    if len(turns) == 1:
        return turns[0][1], answer
    return "\n\n".join(f"{role.capitalize()}: {text}" for role, text in turns), answer


def first_answer(value: Any) -> Any:
    """Return the first of several gold answers, as in {text: [...]}; other values as they are."""
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        value = value["text"]
    if not isinstance(value, list):
        return value
    texts = [item.strip() for item in value if isinstance(item, str) and item.strip()]
    return texts[0] if texts else None


def _turns(value: Any) -> list[Turn] | None:
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, str) for item in value):
        return [("assistant" if at % 2 else "user", text) for at, text in enumerate(value)]
    turns = [_turn(item) for item in value]
    return [turn for turn in turns if turn is not None] if None not in turns else None


def _turn(item: Any) -> Turn | None:
    if not isinstance(item, Mapping):
        return None
    role, text = _first(item, _ROLE_KEYS), _joined(_first(item, _TEXT_KEYS))
    known = _ROLES.get(role.casefold()) if isinstance(role, str) else None
    return (known, text.strip()) if known is not None and isinstance(text, str) else None


def _joined(content: Any) -> Any:
    """Join what a turn says in parts, {type: text, text}; other contents stay as they are."""
    if not isinstance(content, list) or not content:
        return content
    parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else content


def _first(item: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if key in item), None)
