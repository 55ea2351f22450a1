"""Start an engine, run one coroutine on it, close it.

Knows nothing of what is requested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Literal, TypeVar

from raygen.engines import Engine, EngineError, EngineSpec, start_engine
from streamtrain.errors import InputError

Result = TypeVar("Result")


def default_backend() -> Literal["vllm", "transformers"]:
    """Choose the backend of a local model: vLLM if it is installed."""
    return "vllm" if find_spec("vllm") else "transformers"


def with_started_engine(
    spec: EngineSpec, ask: Callable[[Engine], Awaitable[Result]], failed: str
) -> Result:
    """Run `ask` on a started engine and close it; returns its result.

    Raises InputError, beginning with `failed`, if the engine can't be run.
    """

    async def run() -> Result:
        engine = await start_engine(spec)
        try:
            return await ask(engine)
        finally:
            await engine.close()

    try:
        return asyncio.run(run())
    except EngineError as error:
        raise InputError(f"{failed}: {error}") from error
