"""A model's chat template: what transformers makes of it, and an end where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from transformers import AutoTokenizer

from raygen.core.limited import Limits
from raygen.engines.base import EngineSetupError, Message, RequestRefusedError
from raygen.engines.models import chat_template
from raygen.engines.models.prompt_tokens import PromptTokenizer

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " Why? "},
    {"role": "assistant", "content": "So."},
    {"role": "user", "content": "And <then>?\n"},
]
TEMPLATES = [
    (
        "{% for m in messages %}<{{ m.role }}>{{ m['content']|trim }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    ),
    (
        "{{ bos_token }}{% set ns = namespace(first=true) %}{% for m in messages %}"
        "{% if m.role == 'system' %}{% set ns.first = false %}{% continue %}{% endif %}"
        "{{ '[INST] %s [/INST]'|format(m.content.strip()) }}{% if loop.index > 2 %}{% break %}"
        "{% endif %}{% endfor %}{{ ns.first }}"
    ),
    (
        "{% macro turn(m) %}{{ m|tojson(indent=2) }}{% endmacro %}"
        "{% for m in messages if m.role != 'system' %}"
        "{% generation %}{{ turn(m) }}{% endgeneration %}{%- endfor %}"
        "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}"
    ),
    "{{ strftime_now('%') }}{{ '{:>9}'.format(messages[0]['content'][:3]) }}",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module", autouse=True)
def limited() -> Iterator[None]:
    """Limits that are reached soon, for one process over all tests."""
    with pytest.MonkeyPatch.context() as patch:
        limits = Limits(memory=200 * 1024 * 1024, cpu_s=1.0, wall_s=250)
        patch.setattr(chat_template, "_LIMITS", limits)
        yield


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_writes_what_transformers_writes(tokenizer: Any, template: str) -> None:
    tokenizer.chat_template = template
    expected = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    assert chat_template.render_chat("m", tokenizer, TURNS) == expected


def test_what_a_template_refuses_is_its_own_error(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('no users here') }}"
    with pytest.raises(jinja2.TemplateError, match="no users here"):
        chat_template.render_chat("m", tokenizer, TURNS)
    with pytest.raises(RequestRefusedError, match="no users here"):
        PromptTokenizer("e", "m", tokenizer, None).prompt((Message("user", "x"),))


@pytest.mark.parametrize(
    ("template", "limit"),
    [
        ("{{ (messages[0].content * 900000000)|length }}", "memory"),
        ("{{ '%900000000d'|format(1) }}", "memory"),
        ("{% set a = messages[0].content * 90000000 %}{{ [a ~ 1, a ~ 2]|length }}", "memory"),
        ("{% for i in range(9999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "comput"),
    ],
)
def test_a_template_without_end_is_an_error_of_its_engine(
    tokenizer: Any, template: str, limit: str
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(EngineSetupError, match=f"engine 'e': the chat template of m .*{limit}"):
        PromptTokenizer("e", "m", tokenizer, None).prompt((Message("user", "x"),))
