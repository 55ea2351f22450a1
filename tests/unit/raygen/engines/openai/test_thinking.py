"""How an endpoint is asked to think, and what follows a thought that was cut."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.engines.args import ThinkingForm
from raygen.engines.base import Completion, Message, Request, Sampling, Thinking
from raygen.engines.openai.thinking import going_on, joined, with_thinking

CHAT = (Message("user", "Why?"),)


def told(thinking: Thinking | None, form: ThinkingForm, prompt: Any = CHAT) -> dict[str, Any]:
    """What the request has beside the prompt and the usual settings."""
    request = Request(prompt, Sampling(max_tokens=50, thinking=thinking))
    return dict(with_thinking(request, form, {}).sampling.extra or {})


@pytest.mark.parametrize(
    ("thinking", "form", "expected"),
    [
        (None, "reasoning_effort", {}),
        (Thinking("auto"), "reasoning_effort", {}),
        (Thinking("off"), "reasoning_effort", {"reasoning_effort": "none"}),
        (Thinking("on"), "reasoning_effort", {"reasoning_effort": "medium"}),
        (Thinking("on", None, "high"), "reasoning_effort", {"reasoning_effort": "high"}),
        (Thinking("off"), "reasoning", {"reasoning": {"enabled": False}}),
        (Thinking("on"), "reasoning", {"reasoning": {"enabled": True}}),
        (Thinking("on", 400), "reasoning", {"reasoning": {"max_tokens": 400}}),
        (Thinking("auto", None, "low"), "reasoning", {"reasoning": {"effort": "low"}}),
        (
            Thinking("off"),
            "template",
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
        (
            Thinking("auto", 400, "low"),
            "template",
            {"chat_template_kwargs": {"reasoning_effort": "low"}, "thinking_token_budget": 400},
        ),
    ],
)
def test_the_form_that_the_endpoint_takes(
    thinking: Thinking | None, form: ThinkingForm, expected: dict[str, Any]
) -> None:
    assert told(thinking, form) == expected


def test_a_completion_has_no_template_to_be_told() -> None:
    assert told(Thinking("on", 400), "template", "Why?") == {"thinking_token_budget": 400}
    assert told(Thinking("on", 400), "reasoning_effort", "Why?") == {}


def test_a_thought_has_its_tokens_beside_those_of_the_answer() -> None:
    request = Request(CHAT, Sampling(max_tokens=50, thinking=Thinking("on", 400)))
    assert with_thinking(request, "reasoning_effort", {}).sampling.max_tokens == 450


def test_the_templates_own_arguments_win() -> None:
    request = Request(CHAT, Sampling(thinking=Thinking("on")))
    named = with_thinking(request, "template", {"thinking": False, "documents_first": True})
    assert named.sampling.extra == {
        "chat_template_kwargs": {
            "enable_thinking": True,
            "thinking": False,
            "documents_first": True,
        }
    }


THINKS = Request(CHAT, Sampling(n=3, max_tokens=50, seed=1, thinking=Thinking("on", 400)))


@pytest.mark.parametrize(
    ("cut", "form"),
    [
        (Completion("B", "stop", thinking="hm"), "template"),
        (Completion("B", "length", thinking="hm"), "template"),
        (Completion("", "length"), "template"),
        (Completion("", "length", thinking="hm"), "reasoning_effort"),
        (Completion("", "length", thinking="hm"), "reasoning"),
    ],
)
def test_what_is_answered_or_can_not_be_is_left_as_it_is(
    cut: Completion, form: ThinkingForm
) -> None:
    assert going_on(THINKS, cut, form) is None


@pytest.mark.parametrize("text", ["", "<think>\nhm"])
def test_a_cut_thought_becomes_the_turn_to_go_on_from(text: str) -> None:
    cut = Completion(text, "length", 7, 400, thinking=None if text else "hm")
    further = going_on(THINKS, cut, "template")
    assert further is not None
    assert further.prompt[1:] == (Message("assistant", "<think>\nhm\n</think>\n\n"),)
    assert further.sampling.extra == {
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    assert (further.sampling.n, further.sampling.most_tokens) == (1, 50)
    answer = joined(cut, Completion("B", "stop", 410, 3))
    assert (answer.text, answer.thinking, answer.finish_reason) == ("B", "hm", "stop")
    assert (answer.prompt_tokens, answer.output_tokens, answer.thinking_tokens) == (417, 403, 400)


def test_a_completion_goes_on_in_its_text_at_any_endpoint() -> None:
    request = Request("Why?\n", THINKS.sampling)
    further = going_on(request, Completion("<think>hm ", "length"), "reasoning_effort")
    assert further is not None
    assert further.prompt == "Why?\n<think>hm\n</think>\n\n"
