"""Write the package of a new op from its name: code, test, recipe and entry point.

Knows nothing of what the op is to do.
"""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from raygen.core import UserError
from raygen.ops import all_ops
from raygen.scaffold.recipe import template

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def write_package(name: str, folder: Path | None = None) -> tuple[Path, list[Path]]:
    """Write the package of an op into a new folder; return the folder, and the files in it.

    The folder is by default named after the op. Raises UserError for a name that an op can't have,
    and for a folder that exists.
    """
    _check(name)
    where = folder or Path(_package(name))
    if os.path.lexists(where):
        raise UserError(f"{where} is there already; nothing was changed. Name another folder")
    where.parent.mkdir(parents=True, exist_ok=True)
    written = package_files(name)
    with TemporaryDirectory(dir=where.parent, prefix=f".{where.name}-") as draft:
        package = Path(draft) / where.name
        for path, text in written.items():
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            (package / path).write_text(text, "utf-8")
        package.replace(where)
    return where, [Path(path) for path in written]


def package_files(name: str) -> Mapping[str, str]:
    """Render the files of the package: texts by path."""
    module = _module(name)
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{module}.py": "op.py",
        f"tests/test_{name}.py": "test_op.py",
        "recipe.yaml": "recipe.yaml",
        "rows.jsonl": "rows.jsonl",
    }
    known = {
        "name": name,
        "module": module,
        "package": _package(name),
        "version": version("raygen"),
    }
    return {path: template(f"op/{source}.j2").render(known) for path, source in sources.items()}


def _module(name: str) -> str:
    return f"raygen_{name}"


def _package(name: str) -> str:
    return _module(name).replace("_", "-").rstrip("-")


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(
            f"{name!r} can't be an op's name; expected small letters, digits and _ after a letter, "
            "at most 40, as in drop_short"
        )
    if name in all_ops():
        raise UserError(f"{name!r} is an op already (`raygen ops {name}`); give yours another name")
