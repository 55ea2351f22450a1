"""The table of ops: the built-in ones, those of installed packages, and trusted files.

Knows nothing of plans or recipes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from raygen.ops import explode, filter, generate, map, sample_rationales  # noqa: A004
from raygen.ops.base import Op

ENTRY_POINTS = "raygen.ops"


class OpError(Exception):
    """An op package or trusted file that can't be used; str() says which and why."""


@lru_cache(maxsize=1)
def built_in() -> Mapping[str, Op]:
    """The ops that ship with raygen, by name."""
    modules = (sample_rationales, generate, filter, map, explode)
    return {module.OP.name: module.OP for module in modules}


def all_ops(trusted: Iterable[Path] = ()) -> Mapping[str, Op]:
    """Every op that a recipe may name. Raises OpError where two ops share a name."""
    table = dict(built_in())
    for entry in entry_points(group=ENTRY_POINTS):
        op = entry.load()
        if not isinstance(op, Op):
            raise OpError(f"entry point {entry.name!r} of {ENTRY_POINTS} is not an Op: {op!r}")
        _add(table, op, f"entry point {entry.value}")
    for path in trusted:
        for op in ops_of_file(path):
            _add(table, op, str(path))
    return table


def ops_of_file(path: Path) -> list[Op]:
    """The ops that a Python file defines at its top level; the file is run, so trust it first."""
    spec = importlib.util.spec_from_file_location(f"raygen_trusted_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise OpError(f"{path}: expected a Python file with ops (raygen.ops.base.Op objects)")
    module: ModuleType = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError) as error:
        raise OpError(f"{path}: can't be imported: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Op)]
    if not found:
        raise OpError(f"{path}: defines no op; expected a raygen.ops.base.Op at its top level")
    return found


def _add(table: dict[str, Op], op: Op, origin: str) -> None:
    if op.name in table:
        raise OpError(f"{origin}: the name {op.name!r} is already an op; give it another one")
    table[op.name] = op
