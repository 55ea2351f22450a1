"""Sample answers from a model, many at once, each with random draws of its own.

The draws of an answer depend on its own seed alone, so that it is the same in any batch (up to the
rounding of a batched matrix product). Knows nothing of tasks or threads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from raygen.engines.base import Completion, RequestRefusedError, Sampling
from raygen.engines.reasoning import split_thinking
from raygen.engines.repetition import repeats_itself
from raygen.engines.transformers.penalties import penalised
from raygen.engines.transformers.prefill import DecoderBatch, PrefilledBatch
from raygen.engines.transformers.thoughts import Thought, ThoughtLimit

_CONTEXT = 5
"""Tokens of the prompt that an answer is decoded after: some tokenizers eat a leading space."""

Until = Callable[[Sequence[int]], bool]
"""Whether an answer with these tokens has all that is wanted."""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One answer to sample: the `index`-th of a request whose prompt has these tokens.

    `thought`: how long it may think, None for a model that is left to itself.
    """

    prompt: tuple[int, ...]
    sampling: Sampling
    index: int
    thought: ThoughtLimit | None = None


def sample_requests(
    prompt: Sequence[int], sampling: Sampling, thought: ThoughtLimit | None = None
) -> list[SampleRequest]:
    """Make a request for each answer. Raises RequestRefusedError for an empty prompt."""
    if not prompt:
        raise RequestRefusedError("bad_request", "the prompt is empty")
    return [SampleRequest(tuple(prompt), sampling, k, thought) for k in range(sampling.n)]


@dataclass(slots=True)
class _Draft:
    """An answer while it is sampled."""

    request: SampleRequest
    draws: random.Random
    limit: int
    until: Until | None
    thought: Thought | None = None
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    text: str = ""
    finish: str | None = None


class Sampler:
    """Samples answers with a loaded model.

    `max_len` is how many tokens prompt and answer may have together, or each, if an encoder reads
    the prompt; None for no limit.
    """

    def __init__(self, model: Any, tokenizer: Any, max_len: int | None) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._max_len = max_len
        self._is_encoder_decoder = bool(model.config.is_encoder_decoder)
        self._ends = _ends(model, tokenizer)

    def write(self, requests: Sequence[SampleRequest]) -> list[Completion | Exception]:
        """Sample a completion for each request, in order; prompts that are equal are read once."""
        return [self._outcome(draft) for draft in self._sample(requests, None)]

    def write_tokens(
        self, requests: Sequence[SampleRequest], until: Until | None = None
    ) -> list[list[int]]:
        """Sample the tokens of each answer, including the one that ends it and texts of `stop`.

        `until` gets an answer's tokens so far, and ends it by returning True.
        """
        return [draft.tokens for draft in self._sample(requests, until)]

    def _sample(self, requests: Sequence[SampleRequest], until: Until | None) -> list[_Draft]:
        drafts = [self._draft(request, until) for request in requests]
        prompts = list(dict.fromkeys(request.prompt for request in requests))
        rows = {prompt: at for at, prompt in enumerate(prompts)}
        with torch.inference_mode():
            reading = (
                DecoderBatch(self._model, prompts)
                if self._is_encoder_decoder
                else PrefilledBatch.of(self._model, prompts)
            )
            reading.select([rows[request.prompt] for request in requests])
            active = drafts
            while True:
                self._draw(active, reading.next)
                unfinished = [at for at, draft in enumerate(active) if draft.finish is None]
                if not unfinished:
                    break
                if len(unfinished) < len(active):
                    reading.select(unfinished)
                    active = [active[at] for at in unfinished]
                reading.extend([draft.tokens[-1:] for draft in active])
        return drafts

    def _draft(self, request: SampleRequest, until: Until | None) -> _Draft:
        sampling = request.sampling
        thought = None if request.thought is None else Thought(request.thought)
        # A thought that is cut has its closing tag beside its budget.
        limit = sampling.most_tokens + (len(thought.limit.closing) if thought else 0)
        if self._max_len is not None:
            before = 0 if self._is_encoder_decoder else len(request.prompt)
            limit = min(limit, self._max_len - before)
        # The k-th answer is the first of the seed plus k, and that is drawn as by raygen 0.1.0.
        seed = None if sampling.seed is None else f"{sampling.seed + request.index} 0"
        return _Draft(request, random.Random(seed), limit, until, thought)

    def _draw(self, drafts: Sequence[_Draft], logits: torch.Tensor) -> None:
        """Add the next token to each draft, and finish those that are done."""
        samplings = [draft.request.sampling for draft in drafts]
        prompts = [draft.request.prompt for draft in drafts]
        changed = penalised(logits, samplings, prompts, [draft.tokens for draft in drafts])
        chosen = sample_next_tokens(changed, samplings, [draft.draws.random() for draft in drafts])
        for at, draft in enumerate(drafts):
            if draft.thought is not None and draft.thought.forced:
                chosen[at] = draft.thought.forced.pop(0)
        logprobs = torch.log_softmax(logits, dim=-1).gather(1, chosen[:, None])[:, 0]
        for draft, token, logprob in zip(drafts, chosen.tolist(), logprobs.tolist(), strict=True):
            if logprob != logprob:
                draft.finish = "broken"
                continue
            draft.tokens.append(token)
            draft.logprob += logprob
            if draft.thought is not None:
                draft.thought.follow(draft.tokens)
            self._end(draft, token)

    def _end(self, draft: _Draft, token: int) -> None:
        """Set the draft's finish reason if it is done."""
        limit = draft.limit
        if (thought := draft.thought) is not None:
            if thought.is_inside and len(draft.tokens) < limit:
                if token in self._ends:
                    thought.cut()
                return
            answer = draft.tokens[thought.end or 0 :]
            limit = min(limit, len(draft.tokens) - len(answer) + draft.request.sampling.max_tokens)
            if repeats_itself(answer):
                draft.text = self._decode(draft, draft.tokens)
                draft.finish = "repetition"
                return
        if token in self._ends:
            draft.text = self._decode(draft, draft.tokens[:-1])
            draft.finish = "stop"
            return
        if draft.until is not None and draft.until(draft.tokens):
            draft.finish = "stop"
            return
        done = len(draft.tokens) >= limit
        stops = draft.request.sampling.stop
        if not (done or stops):
            return
        draft.text = self._decode(draft, draft.tokens)
        stops_at = [at for stop in stops if (at := draft.text.find(stop)) >= 0]
        if stops_at:
            draft.text = draft.text[: min(stops_at)]
            draft.finish = "stop"
        elif done:
            # The last token may have begun a character that another would have ended.
            draft.text = draft.text.rstrip("\ufffd")
            draft.finish = "length"

    def _decode(self, draft: _Draft, tokens: list[int]) -> str:
        """Write an answer's tokens as text, without its thought."""
        end = draft.thought.end if draft.thought is not None else None
        if end is not None:
            return self._plain(tokens[end:]).lstrip()
        before = [] if self._is_encoder_decoder else list(draft.request.prompt[-_CONTEXT:])
        text = self._plain(before + tokens)
        return text[len(self._plain(before)) :]

    def _outcome(self, draft: _Draft) -> Completion | Exception:
        if draft.finish == "broken":
            return RequestRefusedError("bad_response", "the model's output is not a number")
        thought, text, thinking, length = draft.thought, draft.text, None, 0
        if thought is not None and thought.start is not None:
            length = len(draft.tokens) if thought.end is None else thought.end
            words = self._plain(draft.tokens[:length])
            thinking = split_thinking(words, is_open=True)[0]
            text = "" if thought.end is None else text
        return Completion(
            text,
            draft.finish or "stop",
            len(draft.request.prompt),
            len(draft.tokens),
            logprob=draft.logprob,
            thinking=thinking,
            thinking_tokens=length,
        )

    def _plain(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


def sample_next_tokens(
    logits: torch.Tensor, samplings: Sequence[Sampling], draws: Sequence[float]
) -> torch.Tensor:
    """Sample a token id from each row of logits (rows, vocabulary).

    `samplings` gives each row's temperature (0 takes the most probable token), top_k, min_p and
    top_p, `draws` a random number in [0, 1) for each row. Returns a tensor (rows,).
    """
    chosen = logits.argmax(dim=-1)
    temperatures = [1.0 if s.temperature is None else s.temperature for s in samplings]
    warm = [at for at, temperature in enumerate(temperatures) if temperature > 0]
    if not warm:
        return chosen
    rows = torch.tensor(warm, device=logits.device)
    warmed = logits[rows] / _column([temperatures[at] for at in warm], logits)
    chances = torch.softmax(_most_probable(warmed, [samplings[at].top_k for at in warm]), dim=-1)
    least = [samplings[at].min_p or 0.0 for at in warm]
    if max(least) > 0:
        floor = _column(least, chances) * chances.max(dim=-1, keepdim=True).values
        chances = chances.masked_fill(chances < floor, 0.0)
        chances /= chances.sum(dim=-1, keepdim=True)
    top = [1.0 if (top_p := samplings[at].top_p) is None else top_p for at in warm]
    if min(top) < 1:
        chances = _nucleus(chances, _column(top, logits))
    # The sum over a large vocabulary needs the digits, and not every accelerator has them.
    summed = chances.cpu().double().cumsum(dim=-1)
    points = torch.tensor([[draws[at]] for at in warm], dtype=torch.float64) * summed[:, -1:]
    sampled = torch.searchsorted(summed, points, right=True)[:, 0]
    chosen[rows] = sampled.clamp(max=logits.shape[-1] - 1).to(logits.device)
    return chosen


def _most_probable(logits: torch.Tensor, tops: Sequence[int | None]) -> torch.Tensor:
    """Leave each row its `top_k` largest logits; None, 0 and -1 leave all."""
    if not any(k is not None and k > 0 for k in tops):
        return logits
    size = logits.shape[-1]
    kept = [min(k, size) if k is not None and k > 0 else size for k in tops]
    ordered = logits.sort(dim=-1, descending=True).values
    last = ordered.gather(-1, torch.tensor(kept, device=logits.device)[:, None] - 1)
    return logits.masked_fill(logits < last, -torch.inf)


def _nucleus(chances: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Zero all but the most probable tokens that together reach `top_p`."""
    ordered, order = chances.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    nucleus = ordered.masked_fill(before >= top_p, 0.0)
    return torch.zeros_like(chances).scatter(-1, order, nucleus)


def _column(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]


def _ends(model: Any, tokenizer: Any) -> Collection[int]:
    """Return the tokens that end an answer, by the model's generation config and its tokenizer."""
    named = getattr(model.generation_config, "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    return {token for token in (*several, tokenizer.eos_token_id) if token is not None}
