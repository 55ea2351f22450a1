"""How vLLM is told of a model's thoughts, and how they are told from its answers.

Imports no vLLM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raygen.engines.base import Completion, EngineSetupError, Request, Sampling
from raygen.engines.models.prompt_tokens import PromptTokenizer, TokenizedPrompt
from raygen.engines.models.tokenizer import load_tokenizer
from raygen.engines.reasoning import ThinkingTags, split_thinking, thinking_tags


def thinking_arguments(model: str, revision: str | None) -> dict[str, Any]:
    """Return vLLM's engine arguments for the thoughts of a model, by its tokenizer's tags.

    With them vLLM ends a thought at its budget, and a grammar starts after it.
    """
    try:
        vocabulary = load_tokenizer(model, revision).fast.get_vocab()
    except EngineSetupError:
        return {}
    tags = thinking_tags(vocabulary)
    if tags is None:
        return {}
    if tags == ThinkingTags():
        # The parser that knows these tags and nothing else of a model.
        return {"reasoning_parser": "deepseek_r1"}
    return {
        "reasoning_config": {
            "reasoning_start_str": tags.opening,
            "reasoning_end_str": tags.closing,
        }
    }


def must_think(sampling: Sampling) -> bool:
    """Tell whether a request says that the model may think."""
    return sampling.thought_tokens > 0


def starts_with_answer(request: Request, prompt: TokenizedPrompt, template: str | None) -> bool:
    """Tell whether a grammar holds from the first token on, as no thought comes before.

    Where nothing says how to think, only a prompt that ends inside a thought has one; `auto` has
    one where the template can be told not to.
    """
    thinking = request.sampling.thinking
    if prompt.is_open:
        return False
    if thinking is None or thinking.mode == "off" or isinstance(request.prompt, str):
        return True
    return thinking.mode == "auto" and "enable_thinking" not in (template or "")


def thought_budget(tokens: PromptTokenizer, prompt: TokenizedPrompt, sampling: Sampling) -> int:
    """Return the tokens of a thought, so that the answer has room in what the model takes."""
    if tokens.max_len is None:
        return sampling.thought_tokens
    room = tokens.max_len - len(prompt.ids) - sampling.max_tokens
    return max(1, min(sampling.thought_tokens, room))


def read_completion(
    answer: Any, tokens: PromptTokenizer, prompt: TokenizedPrompt, stops: Sequence[str]
) -> Completion:
    """Make a completion of a vLLM output, its thought apart, its answer cut at one of `stops`."""
    thinking, text = split_thinking(answer.text, is_open=prompt.is_open)
    finish = answer.finish_reason or "stop"
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    if ends:
        text, finish = text[: min(ends)], "stop"
    ids = list(answer.token_ids)
    return Completion(
        text,
        finish,
        len(prompt.ids),
        len(ids),
        logprob=answer.cumulative_logprob,
        thinking=thinking,
        thinking_tokens=0 if thinking is None else _thought_length(ids, tokens, bool(text)),
    )


def _thought_length(ids: Sequence[int], tokens: PromptTokenizer, is_answered: bool) -> int:
    """Count the tokens up to the last closing tag; all of them where there is none."""
    closing = tokens.encode(tokens.tags.closing) if tokens.tags else []
    for end in range(len(ids), len(closing) - 1, -1):
        if closing and list(ids[end - len(closing) : end]) == closing:
            return end
    # A thought of other tags is counted by whoever records it.
    return 0 if is_answered else len(ids)
