"""How an op puts its question: by default as a chat or as a completion, or as the recipe says.

Each op with a prompt has two forms of it under raygen/ops/prompts, which see the same fields:
NAME.j2 is the text that a model goes on with, worked examples in front; NAME.chat.yaml is a chat,
with a system text and the worked examples as turns. Knows nothing of any one op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from raygen.config import parse_text
from raygen.core import TemplateError, evaluate_expression, expression_as_template, render
from raygen.engines import Api, Message, Prompt
from raygen.ops.base import OpParams

_LOOP = ("{% for d in demonstrations %}", "{% endfor %}")


def default_prompt(name: str) -> str:
    """Read the default completion prompt `name`."""
    return _read(f"{name}.j2").rstrip("\n")


@lru_cache(maxsize=64)
def default_chat(name: str) -> ChatPrompt:
    """Read the default chat `name`."""
    file = f"{name}.chat.yaml"
    return ChatPrompt.model_validate(parse_text(_read(file), file).data)


@lru_cache(maxsize=64)
def _read(file: str) -> str:
    return files("raygen.ops").joinpath("prompts", file).read_text("utf-8")


class WorkedExample(BaseModel):
    """A question and its answer, as two turns; both are templates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    assistant: str


class ChatPrompt(BaseModel):
    """A default chat. Its texts are templates.

    `demonstration` makes turns of each of the recipe's demonstrations, called `d` there, which
    take the place of `examples`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = ""
    """What it asks, and which fields it sees, for readers of the file."""
    system: str = ""
    examples: tuple[WorkedExample, ...] = ()
    demonstration: WorkedExample | None = None
    user: str

    def templates(self) -> Iterator[tuple[str, str]]:
        """Yield every template with the name of its place."""
        yield "system", self.system
        for index, example in enumerate(self.examples):
            yield f"examples.{index}.user", example.user
            yield f"examples.{index}.assistant", example.assistant
        if self.demonstration is not None:
            yield "demonstration.user", self.demonstration.user.join(_LOOP)
            yield "demonstration.assistant", self.demonstration.assistant.join(_LOOP)
        yield "user", self.user

    def turns(self, fields: Mapping[str, Any]) -> Iterator[Message]:
        """Yield the turns after the system text."""
        demonstrations = fields.get("demonstrations") or ()
        shown = [(example, fields) for example in self.examples]
        if self.demonstration is not None and demonstrations:
            shown = [(self.demonstration, {**fields, "d": each}) for each in demonstrations]
        for example, seen in shown:
            yield Message("user", render(example.user, seen).strip())
            yield Message("assistant", render(example.assistant, seen).strip())
        yield Message("user", render(self.user, fields).strip())


class Turn(OpParams):
    """One chat message; its content is a template."""

    role: Literal["system", "user", "assistant"]
    content: str


def _is_one_expression(value: tuple[Turn, ...] | str | None) -> tuple[Turn, ...] | str | None:
    if isinstance(value, str):
        text = value.strip()
        if not (text.startswith("{{") and text.endswith("}}")) or text.count("{{") > 1:
            raise ValueError(
                "expected a list of {role, content}, or one expression that gives such a list, as "
                '"{{ messages[:-1] }}"'
            )
    return value


Messages = Annotated[tuple[Turn, ...] | str | None, AfterValidator(_is_one_expression)]


class PromptParams(OpParams):
    """How a prompt is put, the same on every op that has one.

    `api` is set by the plan from the node's engine, from version 2 of recipes on.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {}
    """The defaults that differ in a chat."""

    chat: bool = Field(
        False,
        description="version 1 of recipes only: send the prompt as a chat turn of the user; in "
        "version 2 write `api: chat` at the engine",
    )
    api: SkipJsonSchema[Api] = Field(
        "completion",
        exclude_if=lambda api: api == "completion",
        description="how the node's engine is spoken to",
    )
    prompt: str | None = Field(
        None,
        exclude_if=lambda prompt: prompt is None,
        description="a template in place of the default prompt; in a chat it is a turn of the user",
    )
    system: str | None = Field(
        None,
        exclude_if=lambda system: system is None,
        description="the system text of a chat, a template; before a completion's prompt it is its "
        "first paragraph",
    )
    messages: Messages = Field(
        None,
        exclude_if=lambda messages: messages is None,
        description="a chat in place of the default prompt: a list of {role, content} with "
        'templates, or an expression that gives a list, as "{{ messages[:-1] }}"',
    )

    @classmethod
    def with_api_defaults(
        cls, written: Mapping[str, Any], api_of: Callable[[str | None], Api]
    ) -> Mapping[str, Any]:
        """Put in the defaults of a chat, where the engine chats or `messages` are given."""
        if api_of(None) == "completion" and written.get("messages") is None:
            return written
        return {**cls.chat_defaults, **written, "api": "chat"}

    @property
    def asks_chat(self) -> bool:
        """Whether the op asks in its chat form."""
        return self.api == "chat"

    def prompt_of(self, text: str) -> Prompt:
        """Make a completion prompt of a text, or one chat turn of the user where it is a chat."""
        return (Message("user", text),) if self.chat or self.asks_chat else text

    def prompt_templates(self, default: str, place: str = "") -> dict[str, str]:
        """Map each template of the prompt to its parameter.

        `default` names the default prompt. `place` is what stands before the parameters' names, as
        in `predict.`.
        """
        own = {} if self.system is None else {f"{place}system": self.system}
        if isinstance(self.messages, str):
            return own | {f"{place}messages": expression_as_template(_expression(self.messages))}
        if self.messages is not None:
            turns = enumerate(self.messages)
            return own | {f"{place}messages.{k}.content": turn.content for k, turn in turns}
        if self.prompt is not None or not self.asks_chat:
            return {f"{place}prompt": self.prompt or default_prompt(default)} | own
        chat = dict(default_chat(default).templates())
        return {f"{place}prompt.{part}": chat[part] for part in chat if part != "system"} | (
            own or {f"{place}system": chat["system"]}
        )

    def make_prompt(self, default: str, fields: Mapping[str, Any]) -> Prompt:
        """Render the prompt for a row's fields; `default` names the default prompt.

        Raises TemplateError.
        """
        system = None if self.system is None else render(self.system, fields).strip()
        if self.messages is not None:
            turns = tuple(self._own_turns(fields))
        elif self.asks_chat and self.prompt is None:
            chat = default_chat(default)
            system = render(chat.system, fields).strip() if system is None else system
            turns = tuple(chat.turns(fields))
        else:
            text = render(self.prompt or default_prompt(default), fields)
            if not self.chat and not self.asks_chat:
                return f"{system}\n\n{text}" if system else text
            turns = (Message("user", text),)
        return (Message("system", system), *turns) if system else turns

    def _own_turns(self, fields: Mapping[str, Any]) -> Iterator[Message]:
        if not isinstance(self.messages, str):
            for turn in self.messages or ():
                yield Message(turn.role, render(turn.content, fields))
            return
        turns = evaluate_expression(_expression(self.messages), fields)
        if not isinstance(turns, list | tuple) or not turns:
            raise TemplateError(f"messages: {self.messages} gives no list of messages")
        for turn in turns:
            role = turn.get("role") if isinstance(turn, Mapping) else None
            content = turn.get("content") if isinstance(turn, Mapping) else None
            if role not in ("system", "user", "assistant") or not isinstance(content, str):
                raise TemplateError(
                    f"messages: {self.messages} gives {str(turn)[:80]!r}; expected {{role, "
                    "content}}, the role system, user or assistant, the content a text"
                )
            yield Message(role, content)


def _expression(messages: str) -> str:
    return messages.strip().removeprefix("{{").removesuffix("}}").strip()
