"""An engine of raygen for as long as something is asked of it.

Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Literal, TypeVar

from raygen.engines import Engine, EngineError, EngineSpec, start_engine
from streamtrain.errors import InputError

Answer = TypeVar("Answer")


def default_backend() -> Literal["vllm", "transformers"]:
    """What runs a local model: vLLM where it is installed."""
    return "vllm" if find_spec("vllm") else "transformers"


def with_started_engine(
    spec: EngineSpec, ask: Callable[[Engine], Awaitable[Answer]], failed: str
) -> Answer:
    """What `ask` makes of the engine, which is started for it and closed after it.

    Raises InputError, which begins with what `failed`, where the engine can't be run.
    """

    async def run() -> Answer:
        engine = await start_engine(spec)
        try:
            return await ask(engine)
        finally:
            await engine.close()

    try:
        return asyncio.run(run())
    except EngineError as error:
        raise InputError(f"{failed}: {error}") from error
