"""Output tokens per second of `raygen apply` on vLLM, as a share of the engine's own.

The same prompts, sampling and engine arguments, once given to one engine directly, all at once,
and once as a recipe of one `generate` op. Both count from the first request to the last answer,
and both engines have the same number of threads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import applied

from raygen.engines import EngineSpec, Request, Sampling, start_engine

PROMPT = "Question: {question}\nLet us think about it step by step.\nAnswer:"
ARGS = {"max_model_len": 512, "max_num_seqs": 128}


def questions(rows: int) -> list[str]:
    """Short prompts that differ from their start, so that no prefix is shared."""
    things = ("milk", "a coat", "a hammer", "bread", "a bicycle", "rain", "a library", "salt")
    return [
        f"{row}. Where would you expect {things[row % 8]}, and why there?" for row in range(rows)
    ]


async def direct(model: str, rows: int, n: int, max_tokens: int) -> float:
    """Tokens per second of the engine alone."""
    engine = await start_engine(EngineSpec("bench", model, args=ARGS))
    requests = [
        Request(
            PROMPT.format(question=question), Sampling(n=n, max_tokens=max_tokens, seed=row * n)
        )
        for row, question in enumerate(questions(rows))
    ]
    begin = time.perf_counter()
    answers = await asyncio.gather(*(engine.generate(request) for request in requests))
    seconds = time.perf_counter() - begin
    await engine.close()
    return sum(answer.output_tokens for some in answers for answer in some) / seconds


def recipe(model: str, n: int, max_tokens: int) -> dict[str, Any]:
    """One `generate` op with the same prompt and sampling."""
    ask = {
        "op": "generate",
        "from": "source",
        "engine": "bench",
        "prompt": PROMPT.format(question="{{ question }}"),
        "into": "answer",
        "n": n,
        "max_tokens": max_tokens,
        "temperature": 1.0,
        "truncated": "keep",
    }
    return {
        "recipe": "vllm-ratio",
        "version": 1,
        "source": {"path": "source.jsonl"},
        "task": "free_text",
        "engines": {"bench": {"model": model, "args": ARGS}},
        "graph": {"ask": ask},
        "output": {"from": "ask", "path": "out"},
    }


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=48)
    options = parser.parse_args()
    sizes = (options.n, options.max_tokens)
    threads = os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    alone = asyncio.run(direct(options.model, options.rows, *sizes))
    print(f"engine directly   {alone:7.1f} output tokens/s ({threads} threads)")
    source = [{"question": question} for question in questions(options.rows)]
    with tempfile.TemporaryDirectory(prefix="raygen-bench-") as folder:
        done = applied.apply(recipe(options.model, *sizes), source, Path(folder))
    whole = applied.tokens_per_second(done)
    print(f"raygen apply      {whole:7.1f} output tokens/s   {whole / alone:.2f} of the engine")


if __name__ == "__main__":
    main()
