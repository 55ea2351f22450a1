"""Find the files that a source path names, and read their rows: local, remote, globs and the hub.

Knows paths and which parser a name asks for; knows nothing of keys, tasks or column mappings.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from raygen.config import nearest
from raygen.core import UserError, expand_home, network_error
from raygen.core.access import Anonymous, file_options
from raygen.core.limited import Limits, is_limited, run_limited
from raygen.dataset import EXAMPLES, Folder
from raygen.sources.cells import parse_csv
from raygen.sources.packed import packing_of, unpacked_name
from raygen.sources.rows import SourceError, SourceFile, check_size
from raygen.sources.text import parse_json, parse_jsonl

_HUB = "hf://datasets/"
_WEB = ("http://", "https://")

_TEXT: Mapping[str, Callable[[str, BinaryIO], SourceFile]] = {
    ".jsonl": parse_jsonl,
    ".ndjson": parse_jsonl,
    ".json": parse_json,
}
_CELLS = (".csv", ".tsv")
_PARQUET = (".parquet", ".pq")
_LOG = "_delta_log"
_LISTING = Limits(memory=512 << 20, cpu_s=20, wall_s=120, network=True, result_bytes=8 << 20)


def read_source(
    paths: str | Sequence[str],
    base: Path,
    *,
    types_only: bool = False,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
    header: Sequence[str] | None = None,
) -> list[SourceFile]:
    """Read every file that the paths of a source name, those of one path sorted by name.

    A path is a file, a glob or a URL of jsonl, json, csv, tsv or parquet files (also packed, as
    .gz, .zst or .bz2), the folder of a dataset that raygen wrote or of another Delta table, or
    `hf://datasets/OWNER/NAME[@REVISION][?split=...&config=...]`; a relative one starts at `base`.
    `types_only` skips the rows where the format has a schema; `max_bytes` bounds what a file may
    unpack to; `access` says as whom URLs are read, None as the user; `header` are the columns of
    CSV and TSV files without a header. Raises SourceError.
    """
    if not isinstance(paths, str):
        return [
            file
            for each in paths
            for file in read_source(
                each,
                base,
                types_only=types_only,
                max_bytes=max_bytes,
                access=access,
                header=header,
            )
        ]
    path = paths
    if path.startswith(_HUB) and not _suffix(urlsplit(path).path):
        from raygen.sources.arrow import read_hub

        return [read_hub(path, max_bytes, access)]
    try:
        names = _expand(path, base, access)
        return [
            _read_cells(name, max_bytes, access, header)
            if _suffix(name) in _CELLS
            else _read_file(name, types_only, max_bytes, access)
            for name in names
        ]
    except SourceError:
        raise
    except UserError as error:  # a limit of the web client or of its process
        raise SourceError(str(error), error.exit_code) from error


def find_delta_table(path: str, access: Anonymous | None = None) -> str | None:
    """Find the Delta table in a folder: a dataset's examples, the folder itself, or None."""
    if access is not None and path.startswith(_WEB):
        return None  # its client follows redirects anywhere
    folder = Folder.at(path, access.table_options(path) if access else None)
    if folder.exists(f"{EXAMPLES}/{_LOG}"):
        return folder.join(EXAMPLES)
    return folder.join() if folder.exists(_LOG) else None


def _expand(path: str, base: Path, access: Anonymous | None) -> list[str]:
    import fsspec

    remote = "://" in path
    has_pattern = any(sign in path for sign in "*?[")
    if path.startswith(_WEB) and not has_pattern:
        return [path]  # fsspec would read all of it to see whether it is a folder
    pattern = path if remote else str(base / expand_home(path))
    try:
        filesystem, inner = fsspec.core.url_to_fs(pattern, **_options(pattern, access))
        if not has_pattern:
            if filesystem.isdir(inner):
                table = find_delta_table(pattern, access)
                if table is None:
                    raise SourceError(
                        f"{pattern} is a folder without a dataset; give a file or a glob, as in "
                        f"{path}/*.jsonl"
                    )
                return [table]
            if not filesystem.exists(inner):
                raise SourceError(f"no file {pattern}; {_neighbours(pattern, remote)}")
            return [pattern]
        is_own = not path.startswith(_WEB) and access is None
        if remote and not (is_own or is_limited()):
            paths = run_limited(
                list_matches, path, access,
                subject=f"listing {path}", limits=_LISTING, environment=os.environ,
            )  # fmt: skip
        else:
            paths = sorted(filesystem.glob(inner))
    except _unreachable() as error:
        raise SourceError(f"can't reach {pattern}: {error}") from error
    if not paths:
        raise SourceError(f"no file matches {pattern}; check the pattern or add the files")
    return [filesystem.unstrip_protocol(name) if remote else name for name in paths]


def _unreachable() -> tuple[type[Exception], ...]:
    """Collect what fsspec's clients raise of an address: each takes an odd one apart in its way."""
    return (
        OSError, EOFError, ValueError, LookupError, NotImplementedError, ImportError,
        network_error(),
    )  # fmt: skip


def list_matches(pattern: str, access: Anonymous | None) -> list[str]:
    """List the files elsewhere that match a glob.

    A list, or the pages whose links are followed, may have no end, so that one that isn't the
    user's own is read in a process with limits. Raises OSError, ValueError, UserError.
    """
    import fsspec

    filesystem, inner = fsspec.core.url_to_fs(pattern, **_options(pattern, access))
    try:
        return sorted(filesystem.glob(inner))
    except ValueError as error:  # the client's own carries its URL, which is no data to hand back
        raise ValueError(str(error)) from None


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
    suffix = Path(unpacked_name(path)).suffix.lower()
    return suffix if suffix in (*_TEXT, *_CELLS, *_PARQUET) else None


def _options(name: str, access: Anonymous | None) -> dict[str, Any]:
    return file_options(name, access) if "://" in name else {}


def _read_file(
    name: str, types_only: bool, max_bytes: int | None, access: Anonymous | None
) -> SourceFile:
    suffix = _suffix(name)
    if suffix is None and find_delta_table(name, access) is not None:
        from raygen.sources.arrow import read_delta

        return read_delta(name, max_bytes, access)
    if suffix is None:
        known = ", ".join((*_TEXT, *_CELLS, *_PARQUET))
        raise SourceError(f"{name}: found a file of unknown format; expected one of {known}")
    if suffix in _PARQUET:
        from raygen.sources.arrow import read_parquet

        return _read(name, lambda: read_parquet(name, max_bytes, access, types_only=types_only))
    return _read(name, lambda: _parsed(name, max_bytes, access, _TEXT[suffix]))


def _read_cells(
    name: str, max_bytes: int | None, access: Anonymous | None, header: Sequence[str] | None
) -> SourceFile:
    return _read(name, lambda: _parsed(name, max_bytes, access, partial(parse_csv, header=header)))


def _parsed(
    name: str,
    max_bytes: int | None,
    access: Anonymous | None,
    parse: Callable[[str, BinaryIO], SourceFile],
) -> SourceFile:
    with _opened(name, _options(name, access)) as file:
        return parse(name, io.BufferedReader(_Stream(name, file, max_bytes)))


def _read(name: str, read: Callable[[], SourceFile]) -> SourceFile:
    """Read a file that must have rows. Raises SourceError."""
    try:
        source = read()
    except FileNotFoundError as error:
        raise SourceError(f"no file {name}; check source.path") from error
    except _unreachable() as error:
        raise SourceError(f"can't read {name}: {error}") from error
    if not source.numbers:
        raise SourceError(f"{name} has no rows; expected at least one")
    return source


def _opened(name: str, options: Mapping[str, Any]) -> Any:
    """Open a file unpacked. One on the web comes as a stream, and nobody asks for its size: a
    server may send more than it says, or pack it tighter."""
    import fsspec

    packing = packing_of(name)
    by_arrow = packing == "zstd"  # which fsspec unpacks only with a further library
    compression = None if by_arrow else packing
    if not name.startswith(_WEB):
        opened = fsspec.open(name, "rb", compression=compression, **options)
    else:
        filesystem, inner = fsspec.core.url_to_fs(name, **options)
        opened = filesystem.open(inner, "rb", block_size=0, size=1, compression=compression)
    return _unpacked_by_arrow(opened) if by_arrow else opened


@contextmanager
def _unpacked_by_arrow(opened: Any) -> Iterator[Any]:
    import pyarrow as pa

    with opened as file, pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as unpacked:
        yield unpacked


class _Stream(io.RawIOBase):
    """A file that is read in pieces, whatever else it offers, and counted."""

    def __init__(self, name: str, file: Any, max_bytes: int | None) -> None:
        self._name, self._file, self._max_bytes = name, file, max_bytes
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next piece. Raises SourceError where the file has too many."""
        piece: bytes = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._count += len(piece)
        check_size(self._name, self._count, self._max_bytes)
        return len(piece)
