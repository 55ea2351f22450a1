"""A model with an encoder and a decoder in this process, as an engine: it writes answers.

The encoder reads the prompt. It scores nothing. Concurrent requests are batched, on a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from raygen.engines.args import TransformersArgs
from raygen.engines.base import (
    Completion,
    EngineSetupError,
    EngineSpec,
    Prompt,
    Request,
    Score,
)
from raygen.engines.models.prompt_tokens import PromptTokenizer
from raygen.engines.transformers.batching import Batcher, split_on_out_of_memory
from raygen.engines.transformers.generation import Sampler, sample_requests
from raygen.engines.transformers.loading import LoadedModel


class Seq2SeqEngine:
    """Generates with a loaded model. Raises EngineSetupError if its decoder has no start token."""

    def __init__(
        self, spec: EngineSpec, args: TransformersArgs, loaded: LoadedModel, thread: Executor
    ) -> None:
        if loaded.model.config.decoder_start_token_id is None:
            raise EngineSetupError(
                f"engine {spec.name!r}: the configuration of {spec.model} has no "
                "decoder_start_token_id, so its decoder can't begin; add it, or use another model"
            )
        self._name = spec.name
        self._source = spec.model
        self._thread = thread
        limits = [n for n in (args.max_model_len, loaded.position_limit()) if n is not None]
        max_len = min(limits) if limits else None
        sampler = Sampler(loaded.model, loaded.tokenizer, max_len)
        self._tokens = PromptTokenizer.of(spec, loaded.tokenizer, max_len)
        self._write = Batcher(split_on_out_of_memory(sampler.write), args.batch_size, thread)

    async def generate(self, request: Request) -> list[Completion]:
        """Sample `n` completions, each drawn by the seed and its index; the prompt is read once."""
        samples = sample_requests(self._tokens.prompt(request.prompt), request.sampling)
        return list(await asyncio.gather(*(self._write(sample) for sample in samples)))

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Raise EngineSetupError: it scores no texts."""
        raise EngineSetupError(
            f"engine {self._name!r}: {self._source} has an encoder and a decoder and can't score "
            "texts; name a causal model"
        )

    async def close(self) -> None:
        """Wait for the running batch."""
        self._thread.shutdown(cancel_futures=True)
