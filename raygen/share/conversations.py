"""Make conversations of examples: system, turns, thoughts and tool calls, and the reply to learn.

Knows nothing of files or trainers' columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import TemplateError, UserError, render, template_fields
from raygen.dataset import IDENTITY
from raygen.share.student_form import StudentForm
from raygen.share.wording import InstructionPair, TaskWording

Message = Mapping[str, Any]

_ROLES = {"human": "user", "gpt": "assistant", "function": "tool", "observation": "tool"}
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_PASSED_ON = ("tool_calls", "tool_call_id", "name")
_MESSAGES, _TOOLS = "messages", "tools"


@dataclass(frozen=True, slots=True)
class ConversationForm:
    """How an example is worded: by templates over its columns, as a student reads it, or (where
    neither says so) by its own `messages`, else in the task's words."""

    system: str | None = None
    input: str | None = None
    target: str | None = None
    like: Path | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns that a student is given, the reply that it learns, and the tools it may call."""

    prompt: tuple[Message, ...]
    reply: Message
    tools: Any = None


class ConversationMaker:
    """Makes the conversation of each example of a plan."""

    def __init__(self, plan: Mapping[str, Any], form: ConversationForm) -> None:
        """Check the form against the plan's columns. Raises UserError."""
        if form.like is not None and (form.input or form.target):
            raise UserError(
                "--like takes input and target from a student's file; give it, or --input and "
                "--target"
            )
        self._plan, self._form = plan, form
        self._nested = [name for name, kind in plan["columns"].items() if kind == "json"]
        self._student = None if form.like is None else StudentForm.read(form.like)
        self._check_templates()
        worded = self._student is None and not (form.input and form.target)
        by_messages = _MESSAGES in plan["columns"] and form.input is None
        self._wording = TaskWording.of(plan) if worded and not by_messages else None

    def make(self, example: Mapping[str, Any]) -> Conversation:
        """Make the conversation of an example. Raises UserError where it has none."""
        row = self.decoded(example)
        turns = self._own_turns(row)
        if turns is None:
            prompt: tuple[Message, ...] = ({"role": "user", "content": self._prompt(row)},)
            reply = self._reply(row)
        elif self._form.target is not None:
            prompt, reply = turns, self._reply(row)
            if prompt[-1]["role"] == "assistant":
                prompt = prompt[:-1]
        else:
            prompt, reply = _split(turns, row)
        if self._form.system is not None:
            rest = prompt[1:] if prompt[0]["role"] == "system" else prompt
            prompt = ({"role": "system", "content": self._filled("system", row)}, *rest)
        return Conversation(prompt, reply, row.get(_TOOLS))

    def decoded(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """Parse the nested columns of an example, which a dataset has as JSON."""
        nested = {
            name: json.loads(example[name])
            for name in self._nested
            if isinstance(example.get(name), str)
        }
        return {**example, **nested}

    def _own_turns(self, row: Mapping[str, Any]) -> tuple[Message, ...] | None:
        if self._student is not None or self._form.input is not None or not row.get(_MESSAGES):
            return None
        return tuple(_turn(turn, row) for turn in row[_MESSAGES])

    def _prompt(self, row: Mapping[str, Any]) -> str:
        if self._form.input is not None:
            return self._filled("input", row)
        if self._student is not None:
            return self._student.prompt(row, self._plan["task"])
        return self._worded(row).prompt

    def _reply(self, row: Mapping[str, Any]) -> Message:
        thoughts = row.get("thinking")
        if self._form.target is not None:
            text = self._filled("target", row)
            if "thinking" in template_fields(self._form.target):
                thoughts = None
        elif self._student is not None:
            text = self._student.reply(row, self._plan["task"])
        else:
            text = self._worded(row).reply
        said = {"role": "assistant", "content": text}
        return {**said, "reasoning_content": thoughts} if thoughts else said

    def _worded(self, row: Mapping[str, Any]) -> InstructionPair:
        if self._wording is None:
            raise UserError(f"example {row.get('id')} has no `{_MESSAGES}`; say --input TEMPLATE")
        return self._wording.turn(row)

    def _filled(self, option: str, row: Mapping[str, Any]) -> str:
        try:
            text = render(getattr(self._form, option), row).strip()
        except TemplateError as error:
            raise UserError(f"--{option}: example {row.get('id')}: {error}") from error
        if not text:
            raise UserError(f"--{option} is empty for example {row.get('id')}")
        return text

    def _check_templates(self) -> None:
        known = {*self._plan["columns"], *IDENTITY}
        for option in ("system", "input", "target"):
            template = getattr(self._form, option)
            if template is None:
                continue
            try:
                unknown = sorted(template_fields(template) - known)
            except TemplateError as error:
                raise UserError(f"--{option}: {error}") from error
            if unknown:
                raise UserError(
                    f"--{option} reads {unknown[0]!r}, which the examples don't have; they have "
                    f"{', '.join(sorted(known))}"
                )


def _split(turns: Sequence[Message], row: Mapping[str, Any]) -> tuple[tuple[Message, ...], Message]:
    """Split a conversation before its last turn of the assistant; what follows it is left out."""
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=0)
    if not last:
        raise UserError(
            f"example {row.get('id')}: its `{_MESSAGES}` have no turn of an assistant after "
            "another's; name the answer's column by --target '{{ ... }}'"
        )
    return tuple(turns[:last]), turns[last]


def _turn(turn: Any, row: Mapping[str, Any]) -> Message:
    """Bring a turn, which may be {from, value}, into {role, content} and what it has besides."""
    if not isinstance(turn, Mapping) or not isinstance(turn.get("role", turn.get("from")), str):
        raise UserError(
            f"example {row.get('id')}: a turn of its `{_MESSAGES}` is {str(turn)[:80]}; expected "
            "{role, content}"
        )
    role = turn.get("role", turn.get("from"))
    made: dict[str, Any] = {
        "role": _ROLES.get(role, role),
        "content": _text(turn.get("content", turn.get("value")), row),
    }
    thoughts = next((turn[name] for name in _THOUGHTS if turn.get(name)), None)
    if thoughts is not None:
        made["reasoning_content"] = thoughts
    return made | {name: turn[name] for name in _PASSED_ON if turn.get(name)}


def _text(content: Any, row: Mapping[str, Any]) -> str:
    """Return a turn's text, which may be null beside tool calls, or in a list of parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"example {row.get('id')}: a turn has {str(content)[:80]}; expected a text, or parts "
            "that are texts"
        )
    return "".join(map(str, texts))
