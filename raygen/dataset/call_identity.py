"""What identifies a recorded call, and each of its samples.

A call is identified by all that the engine gets. A sample is addressed without `n`, and by the seed
that is its own: the k-th sample of a request is the first of one whose seed is higher by k. So more
samples of a prompt are those that are recorded and a request for the others. Knows nothing of
engines or files; all follows from what a record holds, also one of raygen 0.1.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from raygen.core import digest
from raygen.dataset.records import Call

GENERATE = "generate"
"""The kind of calls that have samples."""


def call_id(
    kind: str,
    model: str,
    revision: str | None,
    prompt: str,
    settings: Mapping[str, Any],
    *,
    chat: bool,
) -> str:
    """Hash all that the engine gets; `prompt` is a text, or with `chat` its turns as JSON."""
    return digest(kind, model, revision, prompt, not chat, settings)


def samples_id(
    model: str, revision: str | None, prompt: str, settings: Mapping[str, Any], *, chat: bool
) -> str:
    """Hash all that decides a sample, but its seed: the same for any number of samples."""
    rest = {name: value for name, value in settings.items() if name not in ("n", "seed")}
    return digest("samples", model, revision, prompt, not chat, rest)


def sample_seed(seed: int | None, k: int) -> int | None:
    """Return the seed of the k-th sample of a request; without a seed no sample has one."""
    return None if seed is None else seed + k


def recorded_samples_id(call: Call) -> str:
    """Hash what decides the samples of a recorded call, but their seeds."""
    settings, chat = json.loads(call.sampling), _is_chat(call)
    return samples_id(call.model, call.revision, call.prompt, settings, chat=chat)


def part_of_call(call: Call, first: int, count: int) -> Call:
    """Narrow a recorded call to some of its samples, as if they had been asked for alone."""
    completions = json.loads(call.completions)
    if count == len(completions):
        return call
    part = completions[first : first + count]
    settings = json.loads(call.sampling)
    settings |= {"n": count, "seed": sample_seed(settings.get("seed"), first)}
    return replace(
        call,
        id=_recorded_id(call, settings, chat=_is_chat(call)),
        sampling=json.dumps(settings, ensure_ascii=False),
        completions=json.dumps(part, ensure_ascii=False),
        output_tokens=sum(completion["output_tokens"] for completion in part),
    )


def _is_chat(call: Call) -> bool:
    """Tell a chat from a text that looks like one, which the record doesn't say, by the id."""
    if not call.prompt.startswith("["):
        return False
    return call.id == _recorded_id(call, json.loads(call.sampling), chat=True)


def _recorded_id(call: Call, settings: Mapping[str, Any], *, chat: bool) -> str:
    return call_id(call.kind, call.model, call.revision, call.prompt, settings, chat=chat)
