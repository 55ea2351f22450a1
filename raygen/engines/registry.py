"""Which backend an engine runs on: checking a spec cheaply, and starting it.

The only place that knows every backend; each is imported when it is first started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raygen.engines.args import (
    FakeArgs,
    OpenAIArgs,
    args_problems,
    vllm_problems,
)
from raygen.engines.base import Ability, Backend, Engine, EngineSetupError, EngineSpec
from raygen.engines.bundled import bundled_problem

NOT_BUILT = "the backend 'transformers' is not part of this version; use 'vllm' or 'openai'"


_ABILITIES: Mapping[Backend, frozenset[Ability]] = {
    "vllm": frozenset({"generate", "score"}),
    "openai": frozenset({"generate", "score"}),
    "transformers": frozenset(),
    "fake": frozenset({"generate", "score"}),
}


def abilities(spec: EngineSpec) -> frozenset[Ability]:
    """What an engine on this backend can do; an op that needs more can't use it."""
    return _ABILITIES[spec.backend]


def check_engine(spec: EngineSpec) -> list[str]:
    """What would keep the engine from starting, as far as can be told in milliseconds.

    Looks at names, arguments, installed packages and the environment; loads and reaches nothing.
    """
    if spec.backend == "fake":
        return args_problems(spec, FakeArgs)
    if spec.backend == "openai":
        return args_problems(spec, OpenAIArgs) or _openai_problems(spec)
    if spec.backend == "vllm":
        bundled = bundled_problem(spec.model)
        return ([bundled] if bundled else []) + vllm_problems(spec)
    return [NOT_BUILT]


async def start_engine(spec: EngineSpec, devices: Sequence[str] = ()) -> Engine:
    """Start the engine on the accelerators named by `devices` (none: the backend chooses).

    Raises EngineSetupError when it can't start as configured, EngineUnavailableError when its
    endpoint can't be reached.
    """
    problems = check_engine(spec)
    if problems:
        raise EngineSetupError(f"engine {spec.name!r}: {'; '.join(problems)}")
    if spec.backend == "fake":
        from raygen.engines.fake import FakeEngine

        return FakeEngine(spec)
    if spec.backend == "openai":
        from raygen.engines.openai import OpenAIEngine

        return await OpenAIEngine.start(spec)
    from raygen.engines.vllm import VLLMEngine

    return await VLLMEngine.start(spec, devices)


def _openai_problems(spec: EngineSpec) -> list[str]:
    args = OpenAIArgs.model_validate(dict(spec.args))
    if spec.model.startswith("bundled:"):
        return [f"{spec.model!r} is a local model; give the endpoint's name"]
    if not args.key and not args.local:
        return [
            (
                f"{args.base_url} wants a key and the environment variable "
                f"{args.api_key_env} is not set; set it, or name another with args.api_key_env"
            )
        ]
    return []
