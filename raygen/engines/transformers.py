"""The transformers backend: a model in this process, as the kind of engine that it is.

Knows nothing of how either kind works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from raygen.engines.args import TransformersArgs, parse_args
from raygen.engines.base import EngineSpec
from raygen.engines.causal import CausalEngine
from raygen.engines.classifier import ClassifierEngine
from raygen.engines.kind import kind_of
from raygen.engines.loaded import load


async def start_transformers(
    spec: EngineSpec, devices: Sequence[str] = ()
) -> CausalEngine | ClassifierEngine:
    """Load the model on the engine's own thread; `devices` are CUDA devices, the first is used.

    Raises EngineSetupError.
    """
    args = parse_args(spec, TransformersArgs)
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine {spec.name}")
    classifies = kind_of(spec) == "classifier"
    head = "AutoModelForSequenceClassification" if classifies else "AutoModelForCausalLM"
    try:
        loop = asyncio.get_running_loop()
        loaded = await loop.run_in_executor(thread, load, spec, args, devices, head)
        kind = ClassifierEngine if classifies else CausalEngine
        return kind(spec, args, loaded, thread)
    except BaseException:
        thread.shutdown(wait=False)
        raise
