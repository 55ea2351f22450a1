"""The two forms of a prompt, and the recipe's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.template import TemplateError, template_fields
from raygen.engines.base import Message
from raygen.ops import common
from raygen.ops.common.prompts import PromptParams, default_chat, default_prompt

FIELDS: dict[str, Any] = {
    "stem": "What falls?",
    "options": ["sand", "snow"],
    "messages": [
        {"role": "user", "content": "Hi {{ stem }}"},
        {"role": "assistant", "content": "Hello."},
    ],
}
PROMPTS = Path(common.__file__).parents[1] / "prompts"
NAMES = sorted(path.name.removesuffix(".chat.yaml") for path in PROMPTS.glob("*.chat.yaml"))


def prompt(**params: Any) -> Any:
    return PromptParams.model_validate(params).make_prompt("self_consistency", FIELDS)


def test_a_completion_is_one_text_and_a_chat_ends_with_the_question() -> None:
    text = prompt()
    assert text.startswith("Q: We left")
    assert text.endswith("(a) sand (b) snow\nA:")
    chat = prompt(api="chat")
    assert [turn.role for turn in chat] == ["system", "user", "assistant", "user"]
    assert chat[-1].content == "What falls?\n(a) sand\n(b) snow"


def test_an_old_chat_is_the_completion_as_a_turn() -> None:
    assert prompt(chat=True) == (Message("user", prompt()),)


def test_a_system_text_stands_before_either_form() -> None:
    assert prompt(system="Be {{ options[0] }}.", prompt="{{ stem }}") == "Be sand.\n\nWhat falls?"
    assert prompt(api="chat", system="Be brief.", prompt="{{ stem }}") == (
        Message("system", "Be brief."),
        Message("user", "What falls?"),
    )
    chat = prompt(api="chat", system="Be brief.")
    assert chat[0] == Message("system", "Be brief.")
    assert chat[1:] == prompt(api="chat")[1:]


def test_messages_are_turns_or_an_expression_that_gives_them() -> None:
    turns = [{"role": "user", "content": "{{ stem }}"}]
    assert prompt(messages=turns) == (Message("user", "What falls?"),)
    chat = prompt(messages="{{ messages[:-1] }}", system="Be brief.")
    # A row's text is no template.
    assert chat == (Message("system", "Be brief."), Message("user", "Hi {{ stem }}"))


@pytest.mark.parametrize("messages", ["{{ messages", "{{ a }}{{ b }}", "Answer {{ stem }}"])
def test_a_text_is_no_list_of_messages(messages: str) -> None:
    with pytest.raises(ValidationError, match="one expression that gives such a list"):
        PromptParams(messages=messages)


@pytest.mark.parametrize("messages", ["{{ stem }}", "{{ messages[:0] }}", "{{ options }}"])
def test_an_expression_that_gives_no_messages_says_so(messages: str) -> None:
    with pytest.raises(TemplateError, match="messages: "):
        prompt(messages=messages)


def test_the_plan_sees_every_template() -> None:
    chat = PromptParams(api="chat").prompt_templates("self_consistency")
    assert set(chat) == {
        "system",
        "prompt.examples.0.user",
        "prompt.examples.0.assistant",
        "prompt.user",
    }
    own = PromptParams(system="s {{ a }}", messages="{{ messages[:-1] + b }}")
    assert set().union(*map(template_fields, own.prompt_templates("").values())) == {
        "a",
        "b",
        "messages",
    }
    assert PromptParams(api="chat", prompt="p").prompt_templates("", "predict.") == {
        "predict.prompt": "p"
    }


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_of_a_prompt_see_the_same_fields(name: str) -> None:
    texts = [text for _, text in default_chat(name).templates()]
    chat = frozenset().union(*map(template_fields, texts))
    completion = template_fields(default_prompt(name))
    assert chat <= completion | {"stem", "options", "replaced"}
    assert chat >= {"stem"} & completion


def test_every_prompt_of_an_engine_has_both_forms() -> None:
    completions = {path.stem for path in PROMPTS.glob("*.j2")} - {"key_tokens"}
    assert set(NAMES) == completions
