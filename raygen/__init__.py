"""raygen: a YAML recipe becomes a dataset. `raygen.load(path)` is the way in from Python."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygen.api import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Everything in the package imports it, so that it must not import anything by itself.
    if name in __all__:
        return getattr(import_module("raygen.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
