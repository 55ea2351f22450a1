"""The transformers backend: a model in this process, with the engine for its kind.

Knows nothing of how any kind works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from raygen.engines.args import TransformersArgs, parse_args
from raygen.engines.base import EngineSpec
from raygen.engines.models.metadata import Kind, model_kind
from raygen.engines.transformers.causal import CausalEngine
from raygen.engines.transformers.classifier import ClassifierEngine
from raygen.engines.transformers.loading import load_model
from raygen.engines.transformers.seq2seq import Seq2SeqEngine

_Model = CausalEngine | ClassifierEngine | Seq2SeqEngine

_KINDS: Mapping[Kind, tuple[str, type[_Model]]] = {
    "causal": ("AutoModelForCausalLM", CausalEngine),
    "classifier": ("AutoModelForSequenceClassification", ClassifierEngine),
    "seq2seq": ("AutoModelForSeq2SeqLM", Seq2SeqEngine),
}
"""The class of transformers that loads a model, and the engine that it becomes."""


async def start_transformers(spec: EngineSpec, devices: Sequence[str] = ()) -> _Model:
    """Load the model on a thread of its own, on the first of the CUDA `devices`.

    Raises EngineSetupError.
    """
    args = parse_args(spec, TransformersArgs)
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine {spec.name}")
    head, kind = _KINDS[model_kind(spec)]
    try:
        loop = asyncio.get_running_loop()
        loaded = await loop.run_in_executor(thread, load_model, spec, args, devices, head)
        return kind(spec, args, loaded, thread)
    except BaseException:
        thread.shutdown(wait=False)
        raise
