"""A causal language model in this process, as an engine: for machines without vLLM.

Concurrent requests are batched; the model runs on a thread, so that the event loop stays free. It
doesn't hold answers to a JSON schema: the op that asks checks them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cached_property, partial

from raygen.engines.args import TransformersArgs
from raygen.engines.base import (
    Completion,
    EngineSpec,
    Prompt,
    Request,
    RequestRefusedError,
    Sampling,
    Score,
    TokenScore,
    TopTokens,
)
from raygen.engines.models.fingerprint import vocabulary_fingerprint
from raygen.engines.models.prompt_tokens import PromptTokenizer, TokenizedPrompt
from raygen.engines.transformers.batching import Batcher, split_on_out_of_memory
from raygen.engines.transformers.generation import Sampler, sample_requests
from raygen.engines.transformers.introspection import WordEmbeddings, integrated_gradients
from raygen.engines.transformers.loading import LoadedModel
from raygen.engines.transformers.scoring import Continuation, TopTokensRequest, score, top_tokens
from raygen.engines.transformers.thoughts import ThoughtLimit


class CausalEngine:
    """Generates and scores with a loaded model."""

    def __init__(
        self, spec: EngineSpec, args: TransformersArgs, loaded: LoadedModel, thread: Executor
    ) -> None:
        limits = [n for n in (args.max_model_len, loaded.position_limit()) if n is not None]
        max_len = min(limits) if limits else None
        sampler = Sampler(loaded.model, loaded.tokenizer, max_len)
        self._tokens = PromptTokenizer.of(spec, loaded.tokenizer, max_len)
        self._thread = thread
        self._write = Batcher(split_on_out_of_memory(sampler.write), args.batch_size, thread)
        scorer: Callable[[Sequence[Continuation]], Sequence[Score]] = partial(score, loaded.model)
        self._score = Batcher(split_on_out_of_memory(scorer), args.batch_size, thread)
        self._top = Batcher(split_on_out_of_memory(self._read_top), args.batch_size, thread)
        self._loaded = loaded
        self._args = args
        self._words = WordEmbeddings(loaded.model, loaded.tokenizer)

    async def generate(self, request: Request) -> list[Completion]:
        """Sample `n` completions, each drawn by the seed and its index; the prompt is read once."""
        prompt = self._tokens.to_answer(request.prompt, request.sampling.thinking)
        thought = self._thought(prompt, request.sampling)
        samples = sample_requests(prompt.ids, request.sampling, thought)
        return list(await asyncio.gather(*(self._write(sample) for sample in samples)))

    def _thought(self, prompt: TokenizedPrompt, sampling: Sampling) -> ThoughtLimit | None:
        """Return how long an answer may think, None where nothing is said of it.

        As much of the room for tokens is left as the answer may need.
        """
        tags, budget = self._tokens.tags, sampling.thought_tokens
        if tags is None or not budget:
            return None
        opening, closing = map(self._tokens.encode, (tags.opening, tags.closing))
        if self._tokens.max_len is not None:
            room = self._tokens.max_len - len(prompt.ids) - len(closing) - sampling.max_tokens
            budget = max(1, min(budget, room))
        return ThoughtLimit(tuple(opening), tuple(closing), budget, prompt.is_open)

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Sum the log-probabilities of each candidate's tokens, tokenized after the prompt.

        A token that the candidate's start merges with the prompt's end counts with the candidate.
        """
        tokenized = self._tokens.candidates(prompt, candidates)
        texts = [Continuation(tuple(ids), start) for ids, start in tokenized]
        if not all(text.tokens for text in texts):
            raise RequestRefusedError("bad_request", "prompt and candidate are both empty")
        return list(await asyncio.gather(*(self._score(text) for text in texts)))

    async def top_tokens(self, prompt: Prompt, text: str, k: int) -> TopTokens:
        """Return the k most probable tokens at each position of a text that follows a prompt."""
        ids, start = self._tokens.prompt_and_text(prompt, text)
        return await self._top(TopTokensRequest(Continuation(tuple(ids), start), k))

    def _read_top(self, requests: Sequence[TopTokensRequest]) -> Sequence[TopTokens]:
        return top_tokens(self._loaded.model, requests, self._vocabulary)

    @cached_property
    def _vocabulary(self) -> str:
        return vocabulary_fingerprint(self._loaded.tokenizer)

    async def attribute(self, text: str, start: int, target: str) -> list[TokenScore]:
        """Compute integrated gradients of the tokens of `text[start:]` toward `target`.

        The other tokens keep their embeddings. Raises RequestRefusedError (`bad_request`) if there
        are no such tokens, or no target.
        """
        ids, following, spans = self._tokens.spans(text, start, target)
        if not spans or following >= len(ids):
            raise RequestRefusedError("bad_request", f"nothing in {text[start:]!r} or {target!r}")
        positions = [position for position, _, _ in spans]
        run = partial(integrated_gradients, steps=self._args.steps, batch=self._args.batch_size)
        loop = asyncio.get_running_loop()
        scores = await loop.run_in_executor(
            self._thread, run, self._loaded.model, ids, following, positions
        )
        return [
            TokenScore(text[a:b], a, b, score)
            for (_, a, b), score in zip(spans, scores, strict=True)
        ]

    async def nearest(self, word: str, k: int) -> list[str]:
        """Return the k nearest whole words of the vocabulary."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._words.nearest, word, k)

    async def close(self) -> None:
        """Wait for the running batch."""
        self._thread.shutdown(cancel_futures=True)
