"""The Engine protocol: what an op may ask of a model, and how an engine says that it can't.

Knows nothing of any backend. A backend maps its own faults to the four errors below, because
the worker decides by their type whether a row, the engine or the whole run is at fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Backend = Literal["vllm", "openai", "transformers", "fake"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = str | tuple[Message, ...]
"""A completion prompt, or a chat that the engine renders with the model's own template."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: the same parameters on every op and backend."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `sampling.n` completions of one prompt, optionally held to a JSON schema."""

    prompt: Prompt
    sampling: Sampling = Sampling()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer. `prompt_tokens` counts the shared prompt, the same on all n.

    `logprob` is the sum of the log-probabilities of the sampled tokens, where the backend has it.
    `finish_reason` is `stop`, `length`, or what the backend says (`refusal`, ...).
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    output_tokens: int = 0
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A model to run (its identity) and the conditions to run it under (its profile).

    `args` are the backend's own; `price` is in dollars per million tokens.
    """

    name: str
    model: str
    revision: str | None = None
    backend: Backend = "vllm"
    gpus: int = 0
    price: Mapping[str, float] | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """A running model. Every method may be called concurrently from one event loop."""

    async def generate(self, request: Request) -> list[Completion]:
        """`request.sampling.n` completions, in the order the backend numbers them."""
        ...

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[float]:
        """The summed log-probability of each candidate as a continuation of `prompt`."""
        ...

    async def close(self) -> None:
        """Free the model. Called once; no other call follows."""
        ...


class EngineError(Exception):
    """Base of what an engine can raise; str() is one clear sentence for the user."""


class EngineSetupError(EngineError):
    """The engine can't start as configured: the recipe, profile or machine must change."""


class EngineUnavailableError(EngineError):
    """The engine can't be reached and retries are used up: the run stops, its rows stay pending."""


class EngineDeadError(EngineError):
    """The engine process died, perhaps of this request: rebuild it and find the guilty row."""


class RequestRefusedError(EngineError):
    """This one request can't be answered; `reason` becomes the row's reject reason.

    Reasons: `prompt_too_long`, `refused`, `bad_request`, `bad_response`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
