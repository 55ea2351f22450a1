"""vLLM's engine arguments with their types, and its sampling parameters, by the installed source.

Read and not imported, since importing vLLM takes ten seconds.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from raygen.engines.args import unknown_arg
from raygen.engines.base import EngineSpec

_OWNED = {"model": "model", "revision": "revision", "tensor_parallel_size": "gpus"}
"""vLLM's arguments that an engine's own keys already say."""

_CODE = frozenset(
    {
        "ec_manager_config",
        "ec_transfer_config",
        "io_processor_plugin",
        "kv_transfer_config",
        "log_config_file",
        "logging_config",
        "logits_processors",
        "model_class_overrides",
        "reasoning_parser_plugin",
        "scheduler_cls",
        "trust_remote_code",
        "weight_transfer_config",
        "worker_cls",
        "worker_extension_cls",
    }
)
"""Arguments that make vLLM run code which they name: a recipe is data."""

_CONFIGS = frozenset(
    {
        "additional_config",
        "attention_config",
        "compilation_config",
        "data_parallel_backend",
        "diffusion_config",
        "distributed_executor_backend",
        "kernel_config",
        "kv_offloading_backend",
        "model_loader_extra_config",
        "pooler_config",
        "profiler_config",
        "reasoning_config",
        "spec_method",
        "spec_model",
        "speculative_config",
        "structured_outputs_config",
    }
)
"""Arguments in which vLLM takes a dotted name for code to import, or a section like the others."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?::\w+)?|[A-Za-z_]\w*:[A-Za-z_]\w*")

SAFE_FORMATS = ("safetensors", "instanttensor", "runai_streamer", "dummy")
"""Formats of weights that hold numbers alone, and `dummy`, which reads none; the first is ours."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (int, float),
    "int": (int,),
    "list": (list,),
    "set": (list,),
    "str": (str,),
}


def vllm_problems(spec: EngineSpec) -> list[str]:
    """List what is wrong with the arguments of a vllm engine, a sentence each."""
    known = vllm_arg_types()
    if not known:
        return [
            (
                "vLLM is not installed; run `pip install -e '.[gpu]'` "
                "(or '.[cpu]' without a GPU), or choose another backend in the profile"
            )
        ]
    return [problem for name, value in spec.args.items() for problem in _faults(spec, name, value)]


_SAMPLING_OWNED = frozenset(
    {
        "detokenize",
        "flat_logprobs",
        "logprob_token_ids",
        "logprobs",
        "n",
        "output_kind",
        "output_text_buffer_length",
        "prompt_logprob_start",
        "prompt_logprob_token_ids",
        "prompt_logprobs",
        "routed_experts_prompt_start",
        "seed",
        "skip_clone",
        "stop",
        "stream_interval",
        "structured_outputs",
        "thinking_token_budget",
        "trace_decode_token_ids",
    }
)
"""Sampling parameters that raygen sets itself, or that make no sense in a recipe."""


@cache
def vllm_sampling_names() -> frozenset[str]:
    """Return the sampling parameters of the installed vLLM that a recipe may set by `extra`."""
    return frozenset(
        name
        for name, _ in _class_fields("sampling_params.py", ("SamplingParams",))
        if not name.startswith("_") and name not in _SAMPLING_OWNED
    )


@cache
def vllm_arg_types() -> Mapping[str, tuple[str, ...]]:
    """Map the installed vLLM's engine arguments to their types; empty without vLLM.

    Types are names of plain ones (`int`, `None`, ...); an argument of another type has none.
    """
    fields = _class_fields("engine/arg_utils.py", ("EngineArgs", "AsyncEngineArgs"))
    return {name: _plain(annotation) for name, annotation in fields}


def _class_fields(file: str, classes: tuple[str, ...]) -> list[tuple[str, ast.expr]]:
    """List the annotated fields of classes in a file of the installed vLLM; none without vLLM."""
    package = find_spec("vllm")
    if package is None or package.origin is None:
        return []
    source = Path(package.origin).parent / file
    if not source.is_file():
        return []
    return [
        (field.target.id, field.annotation)
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name in classes
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    ]


def _faults(spec: EngineSpec, name: str, value: Any) -> Iterator[str]:
    known = vllm_arg_types()
    if name in _OWNED:
        yield f"args.{name} is set by the engine's own key `{_OWNED[name]}`"
    elif name not in known:
        yield unknown_arg(spec, name, known)
    elif (name in _CODE and value) or (name in _CONFIGS and _names_code(value)):
        yield (
            f"args.{name} makes vLLM run code that it names, and a recipe runs none; start "
            "`vllm serve` with it yourself and use backend: openai"
        )
    elif name == "load_format" and value not in SAFE_FORMATS:
        yield (
            f"args.load_format: found {value!r}, expected {' or '.join(SAFE_FORMATS)}: weights of "
            "other formats may carry code; convert them with `save_pretrained`"
        )
    elif name == "hf_token" and isinstance(value, str):
        yield (
            "args.hf_token: a token in a recipe would be written beside the dataset; set the "
            "environment variable HF_TOKEN, or log in (`hf auth login`)"
        )
    elif known[name] and value is not None and not _fits(value, known[name]):
        allowed = " or ".join(kind for kind in known[name] if kind != "None")
        yield f"args.{name}: found {value!r}, expected {allowed}"


def _names_code(value: Any) -> bool:
    """Tell whether part of a configuration names code to import, or weights that may carry some."""
    if isinstance(value, Mapping):
        return any(
            key.endswith(("_plugin", "trust_remote_code", "load_format", "_cls")) and inner
            for key, inner in value.items()
        ) or any(_names_code(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_names_code(part) for part in value)
    return isinstance(value, str) and _DOTTED.fullmatch(value.strip()) is not None


def _fits(value: Any, kinds: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return "bool" in kinds
    return any(isinstance(value, _TYPES[kind]) for kind in kinds if kind != "None")


def _plain(annotation: ast.expr) -> tuple[str, ...]:
    """List the plain types of an annotation such as `int | None`; none if it names another."""
    if isinstance(annotation, ast.BinOp):
        left, right = _plain(annotation.left), _plain(annotation.right)
        return (*left, *right) if left and right else ()
    if isinstance(annotation, ast.Subscript):
        return _plain(annotation.value)
    if isinstance(annotation, ast.Constant):
        return ("None",) if annotation.value is None else ()
    return (annotation.id,) if isinstance(annotation, ast.Name) and annotation.id in _TYPES else ()
