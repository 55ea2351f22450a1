"""What a backend can't do of a sampling is a sentence that names it, before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.engines.base import EngineSpec, Sampling, Thinking
from raygen.engines.sampling_check import sampling_problems


def problems(backend: Any, sampling: Sampling, **args: Any) -> list[str]:
    return sampling_problems(EngineSpec("t", "m", backend=backend, args=args), sampling)


def test_extra_of_vllm_is_checked_by_name() -> None:
    assert problems("vllm", Sampling(extra={"bad_words": ["x"], "min_tokens": 3})) == []
    (wrong,) = problems("vllm", Sampling(extra={"bad_word": ["x"]}))
    assert "did you mean 'bad_words'?" in wrong
    (own,) = problems("vllm", Sampling(extra={"top_k": 3}))
    assert "without `extra`" in own


def test_extra_of_an_endpoint_goes_as_it_is_but_for_what_raygen_sets() -> None:
    assert problems("openai", Sampling(extra={"provider": {"order": ["x"]}})) == []
    (wrong,) = problems("openai", Sampling(extra={"messages": []}))
    assert "raygen sets it itself" in wrong


def test_transformers_takes_no_extra() -> None:
    (wrong,) = problems("transformers", Sampling(extra={"bad_words": ["x"]}))
    assert "bad_words" in wrong


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("https://api.openai.com/v1", "reasoning_effort"),
        ("https://openrouter.ai/api/v1", "reasoning"),
        ("http://localhost:8000/v1", "template"),
    ],
)
def test_an_endpoint_is_told_how_to_think_by_its_address(address: str, form: str) -> None:
    both = Sampling(thinking=Thinking("on", 64, "low"))
    is_object = form == "reasoning"
    assert bool(problems("openai", both, base_url=address)) is is_object
    assert problems("openai", both, base_url=address, thinking="template") == []
