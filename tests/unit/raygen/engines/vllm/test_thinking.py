"""What vLLM is told of a thought, and how its output is read; vLLM itself isn't loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raygen.engines.base import Message, Request, Sampling, Thinking
from raygen.engines.models.prompt_tokens import PromptTokenizer, TokenizedPrompt
from raygen.engines.reasoning import ThinkingTags
from raygen.engines.vllm.thinking import (
    read_completion,
    starts_with_answer,
    thinking_arguments,
    thought_budget,
)

CHAT = (Message("user", "Why?"),)
OPEN, PLAIN = TokenizedPrompt([5, 1], is_open=True), TokenizedPrompt([5], is_open=False)


class Letters:
    """A tokenizer with a token for each tag and each other character."""

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        text = text.replace("<think>", "\x01").replace("</think>", "\x02")
        return [ord(character) for character in text]


TOKENS = PromptTokenizer("t", "m", Letters(), 100, tags=ThinkingTags())


@dataclass
class Output:
    """One of vLLM's outputs, as far as it is read."""

    text: str
    finish_reason: str = "stop"
    cumulative_logprob: float = -1.0

    @property
    def token_ids(self) -> list[int]:
        return Letters().encode(self.text, add_special_tokens=False)


def asked(thinking: Thinking | None, prompt: Any = CHAT) -> Request:
    return Request(prompt, Sampling(max_tokens=20, thinking=thinking))


@pytest.mark.parametrize(
    ("request_", "prompt", "template", "is_answer"),
    [
        (asked(None), PLAIN, "enable_thinking", True),
        (asked(None), OPEN, "", False),
        (asked(Thinking("on")), PLAIN, "", False),
        (asked(Thinking("off")), PLAIN, "enable_thinking", True),
        (asked(Thinking("auto")), PLAIN, "enable_thinking", False),
        (asked(Thinking("auto")), PLAIN, "", True),
        (asked(Thinking("on"), "Why?"), PLAIN, "", True),
    ],
)
def test_where_a_grammar_starts(
    request_: Request, prompt: TokenizedPrompt, template: str, is_answer: bool
) -> None:
    assert starts_with_answer(request_, prompt, template) is is_answer


@pytest.mark.parametrize(("budget", "given"), [(10, 10), (1000, 78), (None, 20)])
def test_a_budget_leaves_the_answer_its_room(budget: int | None, given: int) -> None:
    sampling = Sampling(max_tokens=20, thinking=Thinking("on", budget))
    assert thought_budget(TOKENS, OPEN, sampling) == given


@pytest.mark.parametrize(
    ("prompt", "text", "thinking", "answer", "length"),
    [
        (OPEN, "hm</think>yes", "hm", "yes", 3),
        (PLAIN, "<think>hm</think>yes", "hm", "yes", 4),
        (OPEN, "hm and", "hm and", "", 6),
        (PLAIN, "yes", None, "yes", 0),
    ],
)
def test_thoughts_and_their_tokens(
    prompt: TokenizedPrompt, text: str, thinking: str | None, answer: str, length: int
) -> None:
    read = read_completion(Output(text), TOKENS, prompt, ())
    assert (read.thinking, read.text, read.thinking_tokens) == (thinking, answer, length)
    assert (read.prompt_tokens, read.output_tokens) == (
        len(prompt.ids),
        len(Output(text).token_ids),
    )


def test_a_stop_is_looked_for_in_the_answer_alone() -> None:
    read = read_completion(Output("h.m</think>yes. no", "length"), TOKENS, OPEN, (".",))
    assert (read.thinking, read.text, read.finish_reason) == ("h.m", "yes", "stop")


@pytest.mark.parametrize(
    ("tokens", "arguments"),
    [
        (["<think>", "</think>"], {"reasoning_parser": "deepseek_r1"}),
        (
            ["[THINK]", "[/THINK]"],
            {
                "reasoning_config": {
                    "reasoning_start_str": "[THINK]",
                    "reasoning_end_str": "[/THINK]",
                }
            },
        ),
        (["<s>"], {}),
    ],
)
def test_the_tags_of_a_model_decide_vllms_arguments(
    tmp_path: Path, tokens: list[str], arguments: dict[str, Any]
) -> None:
    from tokenizers import Tokenizer, models

    vocabulary = {token: at for at, token in enumerate(["a", *tokens])}
    Tokenizer(models.WordLevel(vocabulary, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    assert thinking_arguments(str(tmp_path), None) == arguments


def test_a_model_without_a_tokenizer_file_has_none(tmp_path: Path) -> None:
    assert thinking_arguments(str(tmp_path), None) == {}
