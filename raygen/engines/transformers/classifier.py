"""A sequence classifier in this process, as an engine: the probability of each of its labels.

It generates nothing. Concurrent texts are batched, on a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NoReturn

import torch

from raygen.engines.args import TransformersArgs
from raygen.engines.base import (
    Completion,
    EngineSetupError,
    EngineSpec,
    Prompt,
    Request,
    RequestRefusedError,
    Score,
)
from raygen.engines.transformers.batching import Batcher
from raygen.engines.transformers.loading import LoadedModel


class ClassifierEngine:
    """Classifies with a loaded model, which must have a single-label head.

    Raises EngineSetupError for any other.
    """

    def __init__(
        self, spec: EngineSpec, args: TransformersArgs, loaded: LoadedModel, thread: Executor
    ) -> None:
        self._name = spec.name
        self._source = spec.model
        self._loaded = loaded
        self._thread = thread
        config = loaded.model.config
        if config.num_labels < 2 or config.problem_type == "multi_label_classification":
            raise EngineSetupError(
                f"engine {spec.name!r}: {spec.model} does not choose between labels "
                f"(num_labels {config.num_labels}, problem_type {config.problem_type}); "
                "expected a single-label classifier"
            )
        self._labels = [str(config.id2label[index]) for index in range(config.num_labels)]
        if loaded.tokenizer.pad_token_id is None:
            loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
        if config.pad_token_id is None:
            config.pad_token_id = loaded.tokenizer.pad_token_id
        limits = (args.max_model_len, loaded.position_limit(), loaded.tokenizer.model_max_length)
        self._most = min(limit for limit in limits if limit is not None)
        self._classify = Batcher(self._run, args.batch_size, thread)

    async def classify(self, text: str) -> dict[str, float]:
        """Return the probability of each label, by the names in the model's `id2label`."""
        ids: list[int] = self._loaded.tokenizer(text)["input_ids"]
        if len(ids) > self._most:
            raise RequestRefusedError(
                "prompt_too_long", f"{len(ids)} tokens; {self._source} takes {self._most}"
            )
        chances = await self._classify(ids)
        return dict(zip(self._labels, chances, strict=True))

    async def generate(self, request: Request) -> list[Completion]:
        """Raise EngineSetupError: a classifier can't."""
        self._cannot("generate")

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Raise EngineSetupError: a classifier can't."""
        self._cannot("score texts")

    async def close(self) -> None:
        """Wait for the running batch."""
        self._thread.shutdown(cancel_futures=True)

    def _run(self, texts: Sequence[list[int]]) -> list[list[float]]:
        batch = self._loaded.tokenizer.pad({"input_ids": list(texts)}, return_tensors="pt")
        with torch.inference_mode():
            output = self._loaded.model(**batch.to(self._loaded.device))
            chances = torch.softmax(output.logits.double(), dim=-1)
        rows: list[list[float]] = chances.tolist()
        return rows

    def _cannot(self, what: str) -> NoReturn:
        raise EngineSetupError(
            f"engine {self._name!r}: {self._source} is a classifier and can't {what}; "
            "name a causal model"
        )
