"""Rows per second with two dependent calls per row, against an endpoint that answers in 100 ms.

Compares, in one run: a bare asyncio client (what one would write by hand, nothing else), the
`openai` engine alone, and `raygen apply` on a recipe of two `generate` ops. "While running" counts
from the first finished row to the last, so it leaves out the start of the cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import applied
from endpoint import running

from raygen.engines import EngineSpec, Request, Sampling
from raygen.engines.openai import OpenAIEngine

Call = Callable[[str], Awaitable[str]]


async def rows_per_second(call: Call, rows: int, in_flight: int) -> float:
    """Run two dependent calls for each row; rows per second from the first to the last."""
    finished: list[float] = []
    pending = iter(range(rows))

    async def worker() -> None:
        for row in pending:
            first = await call(f"Question {row}: what is the answer?")
            await call(f"Question {row}, then: {first}")
            finished.append(time.perf_counter())

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return (rows - 1) / (finished[-1] - finished[0])


async def bare(url: str, rows: int, in_flight: int) -> float:
    """The bare client: aiohttp, one session, no retries, no limits, no checks."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(prompt: str) -> str:
            body = {"model": "bench", "prompt": prompt, "max_tokens": 64, "temperature": 1.0}
            async with session.post(f"{url}/completions", json=body) as response:
                text: str = (await response.json())["choices"][0]["text"]
                return text

        return await rows_per_second(call, rows, in_flight)


async def engine(url: str, rows: int, in_flight: int) -> float:
    """The engine that `backend: openai` runs, called directly."""
    args = {"base_url": url, "max_concurrency": in_flight}
    client = await OpenAIEngine.start(EngineSpec("bench", "bench", backend="openai", args=args))

    async def call(prompt: str) -> str:
        return (await client.generate(Request(prompt, Sampling(max_tokens=64, seed=1))))[0].text

    try:
        return await rows_per_second(call, rows, in_flight)
    finally:
        await client.close()


def recipe(url: str, in_flight: int) -> dict[str, Any]:
    """Two `generate` ops, the second of which reads what the first wrote."""
    args = {"base_url": url, "max_concurrency": in_flight}
    ask = {"op": "generate", "engine": "bench", "max_tokens": 64}
    first = {**ask, "from": "source", "prompt": "{{ question }}", "into": "first"}
    second = {**ask, "from": "ask", "prompt": "{{ question }}, then: {{ first }}", "into": "second"}
    return {
        "recipe": "orchestration",
        "version": 1,
        "source": {"path": "source.jsonl"},
        "task": "free_text",
        "engines": {"bench": {"model": "bench", "backend": "openai", "args": args}},
        "graph": {"ask": first, "ask_again": second},
        "output": {"from": "ask_again", "path": "out"},
    }


def applied_rate(url: str, rows: int, in_flight: int) -> float:
    """Rows per second of `raygen apply` while it runs; ends the program where it fails."""
    source = [{"question": f"Question {row}: what is the answer?"} for row in range(rows)]
    with tempfile.TemporaryDirectory(prefix="raygen-bench-") as folder:
        return applied.rows_per_second(applied.apply(recipe(url, in_flight), source, Path(folder)))


def main() -> None:
    """Measure each way in turn and print rows per second and the share of the bare client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=512)
    parser.add_argument("--latency", type=float, default=0.1)
    options = parser.parse_args()
    with running(options.latency) as url:
        base = asyncio.run(bare(url, options.rows, options.in_flight))
        print(f"bare asyncio client   {base:7.0f} rows/s")
        alone = asyncio.run(engine(url, options.rows, options.in_flight))
        print(f"openai engine alone   {alone:7.0f} rows/s   {alone / base:.2f} of bare")
        whole = applied_rate(url, options.rows, options.in_flight)
        print(f"raygen apply          {whole:7.0f} rows/s   {whole / base:.2f} of bare")


if __name__ == "__main__":
    main()
