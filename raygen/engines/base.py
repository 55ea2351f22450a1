"""The Engine protocol: what an op may ask of a model, and how an engine says that it can't.

Knows nothing of any backend. A backend maps its own faults to the four errors below, because
the worker decides by their type whether a row, the engine or the whole run is at fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Backend = Literal["vllm", "openai", "anthropic", "transformers", "fake"]

Api = Literal["chat", "completion"]
"""How an engine is spoken to: in turns of a chat, or by one text that it goes on with."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = str | tuple[Message, ...]
"""A completion prompt, or a chat that the engine renders with the model's own template."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a reasoning model thinks before it answers.

    `mode` auto leaves it to the model. A thought ends after `budget` tokens, then the answer
    follows.
    """

    mode: Literal["on", "off", "auto"] = "auto"
    budget: int | None = None
    effort: Literal["low", "medium", "high"] | None = None

    def settings(self) -> dict[str, Any]:
        """Return what is set, by name."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value is not None}


PLAIN_SETTINGS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
)
"""The settings of sampling that vLLM and endpoints know by the same names, each a number."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: the same parameters on every op and backend.

    The k-th of n completions is drawn as the first one of a request whose seed is higher by k,
    where the backend keeps to seeds. None leaves a setting out of the request, and to the backend.
    `logit_bias` maps ids of tokens, `extra` holds what else the backend takes, by its own names.
    """

    n: int = 1
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    extra: Mapping[str, Any] | None = None
    thinking: Thinking | None = None

    @property
    def thought_tokens(self) -> int:
        """The tokens that a thought may have: its budget, by default as many as the answer."""
        if self.thinking is None or self.thinking.mode == "off":
            return 0
        return self.thinking.budget or self.max_tokens

    @property
    def most_tokens(self) -> int:
        """The tokens that a completion may have, thought and answer together.

        Where nothing says how to think, `max_tokens` are for both.
        """
        return self.thought_tokens + self.max_tokens

    def settings(self) -> dict[str, Any]:
        """Return what a call's identity and transcript hold of it.

        What raygen 0.1.0 didn't have is left out where it is unset, so that calls which that
        version recorded keep their identity.
        """
        old = ("n", "temperature", "top_p", "max_tokens", "stop", "seed")
        values = {name: getattr(self, name) for name in self.__slots__}
        if self.logit_bias:
            values["logit_bias"] = {str(token): bias for token, bias in self.logit_bias.items()}
        if self.thinking is not None:
            values["thinking"] = self.thinking.settings()
        return {k: v for k, v in values.items() if k in old or (v is not None and v != {})}


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `sampling.n` completions of one prompt, optionally held to a JSON schema."""

    prompt: Prompt
    sampling: Sampling = Sampling()
    schema: Mapping[str, Any] | None = None


CountedBy = Literal["backend", "tokenizer", "estimate"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer. `prompt_tokens` counts the shared prompt, the same on all n.

    `logprob` is the sum of the log-probabilities of the sampled tokens, where the backend has it.
    `finish_reason` is `stop`, `length`, or what the backend says (`refusal`, ...). `thinking` is
    what a reasoning model thought before its answer, kept apart from `text`, and `thinking_tokens`
    are how many of the `output_tokens` were that, where it is known. `counted_by` says who counted
    the tokens. Of the prompt's, `cached_tokens` were read from a cache, and `cost` is what the
    request cost in dollars, as a provider reports them, on the first of n; None where it doesn't.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    output_tokens: int = 0
    logprob: float | None = None
    thinking: str | None = None
    thinking_tokens: int = 0
    counted_by: CountedBy = "backend"
    cached_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The summed log-probability of a candidate's tokens, in nats, and their number.

    `read` counts all tokens that the engine read for it, including the prompt's.
    """

    logprob: float
    tokens: int
    read: int = 0

    @property
    def per_token(self) -> float:
        """The mean log-probability of a token."""
        return self.logprob / max(1, self.tokens)


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How much one token of a text contributes to a target; `start` and `end` are characters."""

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class TopTokens:
    """The most probable tokens at each position of a text that follows a prompt.

    `tokens` are the text's own ids in the model's `vocabulary` (a fingerprint of it). For each of
    them `ids` has the k tokens that were most probable in its position, the best first, and
    `logprobs` their natural log-probabilities. `read` counts all tokens that the engine read.
    """

    vocabulary: str
    tokens: tuple[int, ...]
    ids: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]
    read: int = 0


def model_name(model: str, revision: str | None) -> str:
    """Name a model and its revision as datasets and student recipes name a teacher."""
    return f"{model}@{revision}" if revision else model


Ability = Literal["generate", "score", "top_tokens", "classify", "attribute", "nearest"]
"""What an engine may be able to do; the first two are in the Engine protocol."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A model to run (its identity) and the conditions to run it under (its profile).

    `gpus` is how many it takes, `args` are the backend's own, and `price` is in dollars per million
    tokens. `anonymous`: the hub is asked for the model without the user's token. `template_args`
    are what its chat template takes beside the messages; they are part of its identity. `api:
    auto` stands until a plan settles it.
    """

    name: str
    model: str
    revision: str | None = None
    backend: Backend = "vllm"
    gpus: int = 0
    price: Mapping[str, float] | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    anonymous: bool = False
    template_args: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    api: Literal["auto"] | Api = "auto"


class Engine(Protocol):
    """A running model. Every method may be called concurrently from one event loop."""

    async def generate(self, request: Request) -> list[Completion]:
        """Sample `request.sampling.n` completions, in the order of the backend."""
        ...

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Return the log-probability of each candidate as a continuation of `prompt`."""
        ...

    async def close(self) -> None:
        """Free the model. Called once; no other call follows."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """An engine with a classification head."""

    async def classify(self, text: str) -> dict[str, float]:
        """Return the probability of each of the model's labels; they add up to 1."""
        ...


@runtime_checkable
class TokenPredictor(Protocol):
    """A language model whose tokens this process can see."""

    async def top_tokens(self, prompt: Prompt, text: str, k: int) -> TopTokens:
        """Return the k most probable tokens at each position of `text`, which follows `prompt`.

        Both are tokenized by themselves, so that the text has the same tokens after any prompt.
        """
        ...


@runtime_checkable
class Attributor(Protocol):
    """An engine that can look into its model: gradients and embeddings."""

    async def attribute(self, text: str, start: int, target: str) -> list[TokenScore]:
        """Compute integrated gradients of the tokens of `text[start:]` toward `target` after them.

        The baseline is zero embeddings for these tokens, while the others keep theirs; a score is
        the sum over the embedding's dimensions. The scores add up to the change of the target's
        log-probability from the baseline.
        """
        ...

    async def nearest(self, word: str, k: int) -> list[str]:
        """Return the k whole words nearest to a word by input embeddings, nearest first."""
        ...


@runtime_checkable
class Learner(Protocol):
    """An engine that learns how its backend wants to be asked."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What it learned so far, a sentence each, for people."""
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
    """This one request can't be answered.

    A row is dropped for the reasons `prompt_too_long` and `refused` (a content filter's word); for
    `bad_request`, `bad_response` and `response_too_large` it fails, and may be tried again.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
