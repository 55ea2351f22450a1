"""Check an engine's spec cheaply, and start the engine on its backend.

The only module that knows every backend; each is imported when it is first started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from raygen.core.limited import variable_is_set
from raygen.dataset import BatchLog
from raygen.engines.args import (
    AnthropicArgs,
    EndpointArgs,
    FakeArgs,
    OpenAIArgs,
    TransformersArgs,
    args_problems,
)
from raygen.engines.base import Ability, Backend, Engine, EngineSetupError, EngineSpec
from raygen.engines.models.bundled import bundled_problem
from raygen.engines.models.hub_access import hub_access
from raygen.engines.models.metadata import Kind, kind_problem, model_kind
from raygen.engines.vllm.args import vllm_problems

_ABILITIES: Mapping[Backend, frozenset[Ability]] = {
    "vllm": frozenset({"generate", "score", "top_tokens"}),
    "openai": frozenset({"generate", "score"}),
    "anthropic": frozenset({"generate"}),
    "transformers": frozenset({"generate", "score", "top_tokens", "attribute", "nearest"}),
    "fake": frozenset({"generate", "score", "top_tokens", "classify", "attribute", "nearest"}),
}

_BY_KIND: Mapping[Kind, frozenset[Ability]] = {
    "classifier": frozenset({"classify"}),
    "seq2seq": frozenset({"generate"}),
}
"""What transformers' models of other kinds than causal can do."""


def abilities(spec: EngineSpec) -> frozenset[Ability]:
    """Return what an engine on this backend can do; an op that needs more can't use it."""
    if spec.backend == "transformers":
        return _BY_KIND.get(model_kind(spec), _ABILITIES[spec.backend])
    return _ABILITIES[spec.backend]


def check_engine(spec: EngineSpec) -> list[str]:
    """List what would keep the engine from starting, as far as milliseconds can tell.

    Looks at names, arguments, installed packages and the environment; loads and reaches nothing.
    """
    if spec.backend == "fake":
        return args_problems(spec, FakeArgs)
    if spec.backend == "openai":
        return args_problems(spec, OpenAIArgs) or _openai_problems(spec)
    if spec.backend == "anthropic":
        return args_problems(spec, AnthropicArgs) or _anthropic_problems(spec)
    bundled = bundled_problem(spec.model)
    backend_problems = (
        vllm_problems(spec) if spec.backend == "vllm" else _transformers_problems(spec)
    )
    return ([bundled] if bundled else []) + backend_problems


async def start_engine(
    spec: EngineSpec, devices: Sequence[str] = (), record: BatchLog | None = None
) -> Engine:
    """Start the engine on the CUDA `devices`; without any the backend chooses.

    `record` is where an engine with `mode: batch` writes down what it sends; without one it answers
    each request by itself.

    Raises EngineSetupError if it can't start as configured, EngineUnavailableError if its endpoint
    can't be reached.
    """
    problems = check_engine(spec)
    if problems:
        raise EngineSetupError(f"engine {spec.name!r}: {'; '.join(problems)}")
    with hub_access(anonymous=spec.anonymous):
        return await _started(spec, devices, record)


async def _started(spec: EngineSpec, devices: Sequence[str], record: BatchLog | None) -> Engine:
    if spec.backend == "fake":
        from raygen.engines.fake import FakeEngine

        return FakeEngine(spec)
    if spec.backend == "openai":
        from raygen.engines.openai.engine import OpenAIEngine

        return await OpenAIEngine.start(spec, record=record)
    if spec.backend == "anthropic":
        from raygen.engines.anthropic.engine import AnthropicEngine

        return await AnthropicEngine.start(spec, record=record)
    if spec.backend == "transformers":
        from raygen.engines.transformers.backend import start_transformers

        return await start_transformers(spec, devices)
    from raygen.engines.vllm.engine import VLLMEngine

    return await VLLMEngine.start(spec, devices)


def _transformers_problems(spec: EngineSpec) -> list[str]:
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        return [f"{' and '.join(missing)} not installed; run `pip install {' '.join(missing)}`"]
    if problems := args_problems(spec, TransformersArgs):
        return problems
    if spec.gpus > 1:
        return [f"gpus is {spec.gpus}, and transformers uses one; set 1, or use the vllm backend"]
    problem = kind_problem(spec)
    return [problem] if problem else []


def _anthropic_problems(spec: EngineSpec) -> list[str]:
    args = AnthropicArgs.model_validate(dict(spec.args))
    problems = []
    if spec.api == "completion":
        problems.append("its API answers chats and no completion prompts; set api: chat")
    if find_spec("anthropic") is None:
        problems.append("anthropic is not installed; run `pip install 'raygen[anthropic]'`")
    return problems + _key_problems(args)


def _key_problems(args: EndpointArgs) -> list[str]:
    if args.has_key or args.local:
        return []
    return [
        (
            f"{args.base_url} wants a key and the environment variable {args.api_key_env} is not "
            "set; set it, or name another with args.api_key_env"
        )
    ]


def _openai_problems(spec: EngineSpec) -> list[str]:
    args = OpenAIArgs.model_validate(dict(spec.args))
    if spec.model.startswith("bundled:"):
        return [
            (
                f"{spec.model!r} is a local model; name one that {args.base_url} serves, as with "
                f"--set engines.{spec.name}.model=NAME"
            )
        ]
    unset = [
        name for name in args.variables if name != args.api_key_env and not variable_is_set(name)
    ]
    if unset:
        names = ", ".join(unset)
        return [
            f"the environment variable {names}, which args.headers or args.query name, is not set"
        ]
    return [] if args.brings_key else _key_problems(args)
