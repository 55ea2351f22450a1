"""Find the files that a source path names, and read their rows: local, remote, globs and the hub.

Knows paths and which parser a name asks for; knows nothing of keys, tasks or column mappings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from raygen.config import nearest
from raygen.dataset import EXAMPLES, Folder
from raygen.sources.rows import SourceError, SourceFile
from raygen.sources.text import parse_csv, parse_json, parse_jsonl

_HUB = "hf://datasets/"

_TEXT: Mapping[str, Callable[[str, bytes], SourceFile]] = {
    ".jsonl": parse_jsonl,
    ".ndjson": parse_jsonl,
    ".json": parse_json,
    ".csv": parse_csv,
    ".tsv": parse_csv,
}
_PARQUET = (".parquet", ".pq")
_LOG = "_delta_log"


def read_source(path: str, base: Path, *, types_only: bool = False) -> list[SourceFile]:
    """Read every file that a source path names, sorted by name.

    `path` is a file, a glob or a URL of jsonl, json, csv, tsv or parquet files (also .gz), the
    folder of a dataset that raygen wrote or of another Delta table, or
    `hf://datasets/OWNER/NAME[@REVISION][?split=...&config=...]`; a relative one starts at `base`.
    `types_only` skips the rows where the format has a schema. Raises SourceError.
    """
    if path.startswith(_HUB) and not _suffix(urlsplit(path).path):
        from raygen.sources.arrow import read_hub

        return [read_hub(path)]
    return [_read_file(name, types_only) for name in _expand(path, base)]


def find_delta_table(path: str) -> str | None:
    """Find the Delta table in a folder: a dataset's examples, the folder itself, or None."""
    folder = Folder.at(path)
    if folder.exists(f"{EXAMPLES}/{_LOG}"):
        return folder.join(EXAMPLES)
    return folder.join() if folder.exists(_LOG) else None


def _expand(path: str, base: Path) -> list[str]:
    import fsspec

    remote = "://" in path
    pattern = path if remote else str(base / Path(path).expanduser())
    try:
        filesystem, inner = fsspec.core.url_to_fs(pattern)
        if not any(sign in path for sign in "*?["):
            if filesystem.isdir(inner):
                table = find_delta_table(pattern)
                if table is None:
                    raise SourceError(
                        f"{pattern} is a folder without a dataset; give a file or a glob, as in "
                        f"{path}/*.jsonl"
                    )
                return [table]
            if not filesystem.exists(inner):
                raise SourceError(f"no file {pattern}; {_neighbours(pattern, remote)}")
            return [pattern]
        paths = sorted(filesystem.glob(inner))
    except (OSError, ImportError, ValueError) as error:
        raise SourceError(f"can't reach {pattern}: {error}") from error
    if not paths:
        raise SourceError(f"no file matches {pattern}; check the pattern or add the files")
    return [filesystem.unstrip_protocol(name) if remote else name for name in paths]


def _neighbours(path: str, remote: bool) -> str:
    folder = Path(path).parent
    if remote:
        return "check source.path"
    if not folder.is_dir():
        return f"the folder {folder} doesn't exist either; check source.path"
    guess = nearest(Path(path).name, [entry.name for entry in folder.iterdir()])
    return f"did you mean {str(folder / guess)!r}?" if guess else "check source.path"


def _suffix(path: str) -> str | None:
    """Return the suffix that names a file's format; None if no parser reads it."""
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    return suffix if suffix in _TEXT or suffix in _PARQUET else None


def _read_file(name: str, types_only: bool) -> SourceFile:
    suffix = _suffix(name)
    if suffix is None and find_delta_table(name) is not None:
        from raygen.sources.arrow import read_delta

        return read_delta(name)
    if suffix is None:
        known = ", ".join((*_TEXT, *_PARQUET))
        raise SourceError(f"{name}: found a file of unknown format; expected one of {known}")
    try:
        if suffix in _PARQUET:
            from raygen.sources.arrow import read_parquet

            source = read_parquet(name, types_only=types_only)
        else:
            source = _TEXT[suffix](name, _read_bytes(name))
    except (OSError, EOFError, ImportError) as error:
        raise SourceError(f"can't read {name}: {error}") from error
    if not source.numbers:
        raise SourceError(f"{name} has no rows; expected at least one")
    return source


def _read_bytes(name: str) -> bytes:
    import fsspec

    with fsspec.open(name, "rb", compression="infer") as file:
        content: bytes = file.read()
    return content
