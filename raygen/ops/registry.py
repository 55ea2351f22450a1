"""The table of ops: the built-in ones, those of installed packages, and trusted files.

Knows nothing of plans or recipes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from raygen.ops import (
    deduplicate,
    explode,
    fill_counterfactual,
    filter,  # noqa: A004
    flip_check,
    generate,
    join_views,
    judge,
    key_tokens,
    map,  # noqa: A004
    mask_topic_words,
    minimal_edit,
    negative_view,
    perturb_rationale,
    sample_rationales,
    self_consistency,
    soft_labels,
    token_probabilities,
)
from raygen.ops.answers import check, read_answer
from raygen.ops.base import Op

ENTRY_POINTS = "raygen.ops"


class OpError(Exception):
    """An op package or trusted file that can't be used; str() says which and why."""


@lru_cache(maxsize=1)
def built_in() -> Mapping[str, Op]:
    """Return the ops that ship with raygen, by name."""
    modules = (
        sample_rationales,
        mask_topic_words,
        fill_counterfactual,
        self_consistency,
        negative_view,
        flip_check,
        minimal_edit,
        soft_labels,
        token_probabilities,
        perturb_rationale,
        key_tokens,
        generate,
        judge,
        check,
        filter,
        map,
        read_answer,
        explode,
        join_views,
        deduplicate,
    )
    return {module.OP.name: module.OP for module in modules}


def all_ops(trusted: Iterable[Path] = ()) -> Mapping[str, Op]:
    """Return every op that a recipe may name: built in, installed, and of `trusted` files.

    Raises OpError if two ops share a name, or a file or entry point holds no op.
    """
    table = dict(built_in())
    for value, op in _installed(_search_path()):
        _add(table, op, f"entry point {value}")
    for path in trusted:
        for op in ops_of_file(path):
            _add(table, op, str(path))
    return table


def _search_path() -> tuple[tuple[str, int], ...]:
    """Return the folders that packages are found in, with their times of change in nanoseconds."""
    folders = (Path(entry).absolute() for entry in sys.path)
    return tuple((str(path), path.stat().st_mtime_ns) for path in folders if path.exists())


@lru_cache(maxsize=4)
def _installed(search_path: tuple[tuple[str, int], ...]) -> tuple[tuple[str, Op], ...]:
    """Load the ops of installed packages, each with its entry point's value.

    Scanning all packages takes a tenth of a second, so it is repeated only after one was installed
    or removed, which changes a folder of `search_path`.
    """
    ops = []
    for entry in entry_points(group=ENTRY_POINTS):
        op = entry.load()
        if not isinstance(op, Op):
            raise OpError(f"entry point {entry.name!r} of {ENTRY_POINTS} is not an Op: {op!r}")
        ops.append((entry.value, op))
    return tuple(ops)


def ops_of_file(path: Path) -> list[Op]:
    """Import a Python file and return the ops at its top level.

    Importing runs the file, so it must be trusted. It is imported under its own name, which is how
    worker processes find it again. Raises OpError.
    """
    name = path.stem
    if not path.is_file() or path.suffix != ".py":
        raise OpError(f"{path}: expected a Python file with ops (raygen.ops.base.Op objects)")
    known = sys.modules.get(name)
    # A Ray job's working directory is on Python's path, so it may be found by its name already.
    spec = find_spec(name) if known is None else None
    if spec is not None and not _is_file(spec.origin, path):
        raise OpError(f"{path}: {name!r} is the name of another module; rename the file")
    if known is not None and not _is_file(getattr(known, "__file__", None), path):
        raise OpError(f"{path}: a module {name!r} is already there; rename the file")
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        module = import_module(name)
    except (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError) as error:
        raise OpError(f"{path}: can't be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    file_ops = [value for value in vars(module).values() if isinstance(value, Op)]
    if not file_ops:
        raise OpError(f"{path}: defines no op; expected a raygen.ops.base.Op at its top level")
    return file_ops


def _is_file(origin: str | None, path: Path) -> bool:
    return origin is not None and Path(origin).resolve() == path.resolve()


def _add(table: dict[str, Op], op: Op, origin: str) -> None:
    if op.name in table:
        raise OpError(f"{origin}: the name {op.name!r} is already an op; give it another one")
    table[op.name] = op
