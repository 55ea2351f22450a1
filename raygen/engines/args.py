"""What each backend accepts under `args`, and how a wrong entry is reported.

Knows nothing of how an engine runs, and imports no backend: `raygen validate` must answer before
vLLM would have been imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from raygen.config import nearest, reason
from raygen.core.limited import variable_is_set
from raygen.engines.base import EngineSetupError, EngineSpec


class Args(BaseModel):
    """Base of a backend's arguments: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FakeError(Args):
    """A scripted fault, raised instead of an answer; `dead` kills the fake engine for good.

    With `times` it passes: a prompt meets it so often, and is answered by what else is scripted.
    """

    error: Literal[
        "dead", "unavailable", "refused", "prompt_too_long", "bad_request", "bad_response"
    ]
    times: int | None = Field(default=None, ge=1)


class FakeText(Args):
    """A scripted answer with what a plain text doesn't say."""

    text: str
    finish_reason: str | None = None
    thinking: str | None = None
    logprob: float | None = None


FakeReply = str | FakeText | FakeError

_MAX_PATTERN = 1000


def _is_regex(value: str) -> str:
    if len(value) > _MAX_PATTERN:
        raise ValueError(f"a regular expression has up to {_MAX_PATTERN:,} characters")
    try:
        re.compile(value)
        regex.compile(value)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    return value


Pattern = Annotated[str, AfterValidator(_is_regex)]


class FakeRule(Args):
    """Replies to the prompts in which the regular expression `match` is found."""

    match: Pattern
    reply: FakeReply | list[FakeReply]

    @field_validator("reply")
    @classmethod
    def _has_replies(cls, value: FakeReply | list[FakeReply]) -> FakeReply | list[FakeReply]:
        if value == []:
            raise ValueError("needs at least one reply")
        return value


class FakeClass(Args):
    """The probabilities that a fake classifier gives to texts in which `match` is found."""

    match: Pattern
    probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]]

    @field_validator("probabilities")
    @classmethod
    def _adds_up(cls, value: dict[str, float]) -> dict[str, float]:
        if abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError(f"add up to {sum(value.values()):g}, expected 1")
        return value


class FakeArgs(Args):
    """Arguments of `fake`: rules are tried in their order, plain texts answer what is left.

    `latency` in seconds per call, `tokens_per_second` of each completion (0: at once). As a
    classifier it goes by `classes`, and for other texts makes up probabilities of `labels`.
    """

    answers: list[str | FakeRule] = Field(
        default=["This answer is scripted by the fake engine."], min_length=1
    )
    classes: list[FakeClass] = []
    labels: list[str] = Field(default=["A", "B"], min_length=2)
    latency: float = Field(default=0.0, ge=0)
    tokens_per_second: float = Field(default=0.0, ge=0)


ThinkingForm = Literal["reasoning_effort", "reasoning", "template"]


_SECRET_NAME = re.compile(r"authorization|cookie|key$|token|secret|password|signature", re.I)
_KEY_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key"})
_OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding"})


def _is_variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        # Not shown: what stands there is often the key.
        raise ValueError(
            "no name of an environment variable, which has letters, digits and _; put the key "
            "into a variable, and its name here"
        )
    return value


Variable = Annotated[str, AfterValidator(_is_variable)]


class FromEnvironment(Args):
    """A value that stands in an environment variable, and only its name in the recipe."""

    env: Variable

    @property
    def value(self) -> str:
        """The variable's value, empty where it isn't set."""
        return os.environ.get(self.env, "").strip()


Sent = str | FromEnvironment


def _without_secrets(sent: dict[str, Sent]) -> dict[str, Sent]:
    for name, value in sent.items():
        if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name!r} can't be set here")
        if isinstance(value, FromEnvironment):
            continue
        if _SECRET_NAME.search(name):
            # The value isn't shown: it is often a key.
            raise ValueError(
                f"{name!r} holds a secret: put it into an environment variable, and write "
                f"{{{name}: {{env: NAME}}}} with its name"
            )
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the value of {name!r} has characters that can't be sent")
    return sent


class EndpointArgs(Args):
    """Arguments of every backend that reaches a model over the network.

    `timeout` in seconds per attempt. `max_concurrency` is the upper bound of a limit that adapts to
    what the endpoint takes. `strict`: a setting that the endpoint refuses and on which answers
    depend is an error; else it is left out, with a warning. With `mode` batch the requests go out
    as the endpoint's batches: cheaper, answered within a day.
    """

    base_url: str
    api_key_env: Variable
    max_concurrency: int = Field(default=512, ge=1)
    timeout: float = Field(default=600.0, gt=0)
    strict: bool = False
    mode: Literal["live", "batch"] = "live"

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        value = value.strip()
        parts = urlsplit(value)
        if "@" in value or parts.query or parts.fragment:
            # Not shown: what stands there is often a password or a key.
            raise ValueError(
                "an address with a user, a password, a query or a fragment; expected one like "
                "http://host:8000/v1, and the key in the environment variable that "
                "args.api_key_env names"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{value!r} is not an address; expected one like http://host:8000/v1")
        address = value.rstrip("/ ")
        if address.endswith("/completions"):
            raise ValueError(
                f"{value!r} is the address of one method; expected what stands before "
                "/chat/completions, as http://host:8000/v1"
            )
        return address

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables whose values are sent."""
        return (self.api_key_env,)

    @property
    def local(self) -> bool:
        """Whether the endpoint runs on this machine, where a key is seldom asked for."""
        host = urlsplit(self.base_url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    @property
    def has_key(self) -> bool:
        """Whether the user has a key for it, also in a process that isn't given its value."""
        is_here = self.api_key_env in os.environ
        return bool(self.key) if is_here else variable_is_set(self.api_key_env)

    @property
    def key(self) -> str:
        """The key from the environment, or an empty text."""
        return os.environ.get(self.api_key_env, "").strip()


class OpenAIArgs(EndpointArgs):
    """Arguments of `openai`.

    `thinking` is how a request says how to think: by `reasoning_effort` (OpenAI, Gemini, Groq), by
    an object `reasoning` (OpenRouter), or by arguments of the model's template (vLLM, SGLang).
    `headers` and `query` go with every request; a value may come from an environment variable
    (`{env: NAME}`), and one that is a secret must.
    """

    base_url: str = "https://api.openai.com/v1"
    api_key_env: Variable = "OPENAI_API_KEY"
    thinking: ThinkingForm | None = None
    headers: Annotated[dict[str, Sent], AfterValidator(_without_secrets)] = {}
    query: Annotated[dict[str, Sent], AfterValidator(_without_secrets)] = {}

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables whose values are sent."""
        sent = [*self.headers.values(), *self.query.values()]
        named = [value.env for value in sent if isinstance(value, FromEnvironment)]
        return (*named, *(() if self.brings_key else (self.api_key_env,)))

    @property
    def brings_key(self) -> bool:
        """Whether `headers` hold the key, in place of the usual one."""
        return any(name.lower() in _KEY_HEADERS for name in self.headers)

    @property
    def thinking_form(self) -> ThinkingForm:
        """How a request says how to think: as `thinking` says, else by its address."""
        if self.thinking is not None:
            return self.thinking
        if (urlsplit(self.base_url).hostname or "").endswith("openrouter.ai"):
            return "reasoning"
        return "template" if self.local else "reasoning_effort"


class AnthropicArgs(EndpointArgs):
    """Arguments of `anthropic`."""

    base_url: str = "https://api.anthropic.com"
    api_key_env: Variable = "ANTHROPIC_API_KEY"


ENDPOINTS: Mapping[str, type[EndpointArgs]] = {"openai": OpenAIArgs, "anthropic": AnthropicArgs}
"""The backends that reach a model over the network, with their arguments."""


class TransformersArgs(Args):
    """Arguments of `transformers`. `kind` where the model's configuration doesn't tell it.

    `device` is a torch device (default: the engine's GPU, else the CPU), `dtype` by default the
    model's own on a GPU and float32 on a CPU. `batch_size` are the texts that are read or written
    together, `max_model_len` the tokens of prompt and answer, `attention` the implementation, and
    `steps` the points of an integrated gradient (with half as many the scores of a small Llama
    missed a quarter of what they should add up to).
    """

    kind: Literal["causal", "classifier", "seq2seq"] | None = None
    device: str | None = Field(default=None, pattern=r"^(cpu|mps|cuda(:\d+)?)$")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    batch_size: int = Field(default=32, ge=1)
    max_model_len: int | None = Field(default=None, ge=2)
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    steps: int = Field(default=64, ge=2)


A = TypeVar("A", bound=Args)


def endpoint_args(spec: EngineSpec) -> EndpointArgs | None:
    """Return the arguments of an engine that is an endpoint, None for one that runs here.

    Raises EngineSetupError where they are wrong.
    """
    model = ENDPOINTS.get(spec.backend)
    return None if model is None else parse_args(spec, model)


def parse_args(spec: EngineSpec, model: type[A]) -> A:
    """Validate the engine's arguments. Raises EngineSetupError that names every wrong one."""
    problems = args_problems(spec, model)
    if problems:
        raise EngineSetupError(f"engine {spec.name!r}: {'; '.join(problems)}")
    return model.model_validate(dict(spec.args))


def args_problems(spec: EngineSpec, model: type[Args]) -> list[str]:
    """List what is wrong with the engine's arguments, a sentence each."""
    try:
        model.model_validate(dict(spec.args))
    except ValidationError as error:
        return [
            unknown_arg(spec, str(e["loc"][0]), model.model_fields)
            if e["type"] == "extra_forbidden" and len(e["loc"]) == 1
            else f"args.{'.'.join(map(str, e['loc']))}: {reason([dict(e)])}"
            for e in error.errors(include_url=False)
        ]
    return []


def unknown_arg(spec: EngineSpec, word: str, known: Collection[str]) -> str:
    """Word the problem of an argument that the engine's backend doesn't have."""
    near = nearest(word, known)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known)[:8])}, ..."
    return f"{spec.backend} has no argument {word!r}; {hint}"
