"""What each backend takes of sampling and thinking, checked without starting an engine.

Knows nothing of ops or nodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from raygen.config import nearest
from raygen.engines.args import OpenAIArgs
from raygen.engines.base import EngineSpec, Sampling
from raygen.engines.models.metadata import model_kind
from raygen.engines.vllm.args import vllm_sampling_names

_REQUEST = (
    "model", "prompt", "messages", "n", "max_tokens", "max_completion_tokens", "stop", "seed",
    "logprobs", "top_logprobs", "response_format", "stream", "echo",
)  # fmt: skip
"""Keys of an endpoint's request that raygen sets itself."""


def sampling_problems(spec: EngineSpec, sampling: Sampling) -> list[str]:
    """List what the engine's backend can't do of this sampling, a sentence each."""
    checks = {
        "vllm": _vllm,
        "openai": _openai,
        "anthropic": _anthropic,
        "transformers": _transformers,
    }
    check = checks.get(spec.backend)
    return list(check(spec, sampling)) if check else []


def answers_cut_thoughts(spec: EngineSpec) -> bool:
    """Tell whether an engine answers after a thought that took all of its tokens."""
    if spec.backend != "openai":
        return True
    return OpenAIArgs.model_validate(dict(spec.args)).thinking_form == "template"


def _vllm(spec: EngineSpec, sampling: Sampling) -> Iterator[str]:
    known = vllm_sampling_names()
    for name in sampling.extra or ():
        if name in Sampling.__slots__:
            yield f"extra.{name}: raygen has a parameter of that name; write it without `extra`"
        elif known and name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known))}"
            yield f"extra.{name}: vLLM's SamplingParams has no {name!r} to set; {hint}"


def _openai(spec: EngineSpec, sampling: Sampling) -> Iterator[str]:
    for name in sampling.extra or ():
        if name in _REQUEST:
            yield f"extra.{name}: raygen sets it itself; take it out of `extra`"
        elif name in Sampling.__slots__:
            yield f"extra.{name}: raygen has a parameter of that name; write it without `extra`"
    thinking = sampling.thinking
    is_object = OpenAIArgs.model_validate(dict(spec.args)).thinking_form == "reasoning"
    if thinking and thinking.budget and thinking.effort and is_object:
        yield "thinking: the endpoint's `reasoning` takes a budget or an effort; leave one out"


def _anthropic(spec: EngineSpec, sampling: Sampling) -> Iterator[str]:
    unknown = ("min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias")
    for name in unknown:
        if getattr(sampling, name):
            yield f"{name}: the API of {spec.model} has no such setting; leave it out"


def _transformers(spec: EngineSpec, sampling: Sampling) -> Iterator[str]:
    if sampling.extra:
        names = ", ".join(sampling.extra)
        yield f"extra ({names}): the backend transformers takes no other settings; use vllm"
    thinks = sampling.thinking is not None and sampling.thinking.mode != "off"
    if thinks and model_kind(spec) == "seq2seq":
        yield f"thinking: {spec.model} has an encoder and a decoder, and doesn't think"
