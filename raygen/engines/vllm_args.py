"""What vLLM's engine arguments are called and what they hold, read from the installed vLLM.

Read and not imported, since importing vLLM takes ten seconds.
"""

from __future__ import annotations

import ast
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
        "io_processor_plugin",
        "logits_processors",
        "reasoning_parser_plugin",
        "scheduler_cls",
        "trust_remote_code",
        "worker_cls",
        "worker_extension_cls",
    }
)
"""Arguments that make vLLM run code which they name: a recipe is data."""

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
    """What is wrong with the arguments of a vllm engine, one sentence each."""
    known = vllm_arg_types()
    if not known:
        return [
            (
                "vLLM is not installed; run `pip install -e '.[gpu]'` "
                "(or '.[cpu]' without a GPU), or choose another backend in the profile"
            )
        ]
    return [told for name, value in spec.args.items() for told in _faults(spec, name, value)]


@cache
def vllm_arg_types() -> Mapping[str, tuple[str, ...]]:
    """The installed vLLM's engine arguments and what each may hold; empty without vLLM.

    By the names of plain types (`int`, `None`, ...); nothing where one is of another kind.
    """
    package = find_spec("vllm")
    if package is None or package.origin is None:
        return {}
    source = Path(package.origin).parent / "engine" / "arg_utils.py"
    if not source.is_file():
        return {}
    return {
        field.target.id: _plain(field.annotation)
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name in ("EngineArgs", "AsyncEngineArgs")
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def _faults(spec: EngineSpec, name: str, value: Any) -> Iterator[str]:
    known = vllm_arg_types()
    if name in _OWNED:
        yield f"args.{name} is set by the engine's own key `{_OWNED[name]}`"
    elif name not in known:
        yield unknown_arg(spec, name, known)
    elif name in _CODE and value:
        yield (
            f"args.{name} makes vLLM run code that it names, and a recipe runs none; start "
            "`vllm serve` with it yourself and use backend: openai"
        )
    elif known[name] and value is not None and not _fits(value, known[name]):
        allowed = " or ".join(kind for kind in known[name] if kind != "None")
        yield f"args.{name}: found {value!r}, expected {allowed}"


def _fits(value: Any, kinds: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return "bool" in kinds
    return any(isinstance(value, _TYPES[kind]) for kind in kinds if kind != "None")


def _plain(annotation: ast.expr) -> tuple[str, ...]:
    """The plain types of an annotation such as `int | None`; none where it names another."""
    if isinstance(annotation, ast.BinOp):
        left, right = _plain(annotation.left), _plain(annotation.right)
        return (*left, *right) if left and right else ()
    if isinstance(annotation, ast.Subscript):
        return _plain(annotation.value)
    if isinstance(annotation, ast.Constant):
        return ("None",) if annotation.value is None else ()
    return (annotation.id,) if isinstance(annotation, ast.Name) and annotation.id in _TYPES else ()
