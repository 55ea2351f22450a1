"""Read and write single files of the output folder, on local disk or object storage.

Local files go through the operating system; objects through `obstore`, the Rust client that
deltalake has inside, so one set of `storage_options` and one environment serve tables and files.

That client repeats by itself what a store answers with 5xx, and reads and overwrites whose
connection breaks. Of a commit and a deletion it can't know whether the store has acted already, so
only their sender can repeat them: `retry_idempotent`. Knows paths and bytes; knows nothing of
tables, commits or recipes.
"""

from __future__ import annotations

import io
import os
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from raygen.core import expand_home
from raygen.dataset.records import DatasetError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

_TRIES = 6
_FIRST_WAIT_S = 0.5
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MOST_CHARACTERS = 400

_CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "default_content_type",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_url",
    "timeout",
    "user_agent",
)
"""`storage_options` of the HTTP client, which obstore takes apart from those of the store."""

_TABLE_OPTIONS = ("unsafe_rename", "locking_provider", "dynamo", "concurrency_limit")
"""Parts of the names of `storage_options` that speak of tables, and that no store knows."""

_UNFIT = re.compile(r"[][|^\\?]|%[0-9A-Fa-f]{2}")
"""deltalake 1.6 panics at some of these, and takes the others for parts of a URL."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]")

MAX_TEXT_BYTES = 2**26
"""No text that a dataset's folder has of ours is as large; one of a stranger's may have no end."""


@contextmanager
def storage_errors(doing: str, where: str) -> Iterator[None]:
    """Turn a fault of the disk, the object store or a table's files into a DatasetError."""
    try:
        yield
    except BaseException as error:
        advice = _advice(error)
        if advice is None:
            raise
        raise DatasetError(f"can't {doing} in {where}: {message_of(error)}; {advice}") from error


def _advice(error: BaseException) -> str | None:
    """Say what to do about an error of the storage or of what reads a table's files; None for
    another.

    Where polars panics, the error is no Exception.
    """
    panic = type(error).__name__ == "PanicException"
    if not (panic or isinstance(error, Exception)):
        return None
    from deltalake.exceptions import DeltaError
    from polars.exceptions import PolarsError
    from pyarrow import ArrowException

    if isinstance(error, (OSError, DeltaError)):
        return (
            "check that the place exists, can be written and has free space, then run the same "
            "command again: it goes on from here"
        )
    if isinstance(error, (PolarsError, ArrowException)) or panic:
        return (
            "a file is damaged, or isn't what its table says; bring back the dataset's own files, "
            "or make it again in a new folder"
        )
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies directly in a folder, by its name; a link is one, wherever it leads."""

    name: str
    kind: Literal["file", "folder", "link"]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its absolute local path or its URI; small and picklable.

    Files are read and written inside it alone: a name that leads out of it, and a link in it to
    elsewhere, raise OSError. The folder itself may be reached by a link.

    `storage_options` are those of deltalake (for example `AWS_REGION`), unused on local disk.
    """

    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, path: str | Path, storage_options: Mapping[str, str] | None = None) -> Folder:
        """Name the folder at a local path (made absolute) or a URI; it needn't exist.

        Raises DatasetError for what is neither.
        """
        text = str(path)
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        is_local = "://" not in text
        if not _is_utf8(text) or not (is_local or _URL.match(text)):
            raise _no_folder(text)
        if is_local:
            return cls(str(expand_home(text).absolute()))
        return cls(text.rstrip("/"), dict(storage_options or {}))

    @property
    def local(self) -> Path | None:
        """The folder as a path, None on object storage."""
        return None if "://" in self.uri else Path(self.uri)

    @property
    def unfit(self) -> str:
        """The part of a local path that deltalake can't deal with, empty where there is none."""
        match = None if self.local is None else _UNFIT.search(self.uri)
        return match[0] if match else ""

    def join(self, *parts: str) -> str:
        """Join names to the full path or URI of something in the folder."""
        return "/".join((self.uri, *parts))

    def read_bytes(self, path: str) -> bytes:
        """Read a file whole. Raises FileNotFoundError, or OSError from the storage."""
        if self.local is not None:
            return path_inside(self.local, path, to_read=True).read_bytes()
        with _client_errors():
            return self._store().get(path).bytes().to_bytes()

    def read_text(self, path: str) -> str:
        """Read a UTF-8 text file. Raises as read_bytes does, and OSError for what is none."""
        if self.local is not None:
            with path_inside(self.local, path, to_read=True).open("rb") as file:
                content = file.read(MAX_TEXT_BYTES + 1)
            size = len(content)
        else:
            with _client_errors():
                stored = self._store().get(path)
                size = stored.meta["size"]
                content = b"" if size > MAX_TEXT_BYTES else stored.bytes().to_bytes()
        if size > MAX_TEXT_BYTES:
            raise OSError(f"{path} has more than {MAX_TEXT_BYTES:,} bytes, and is no file of ours")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise OSError(f"{path} is no text in UTF-8 (byte {error.start})") from error

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all. Raises OSError."""
        if self.local is None:
            with _client_errors():
                self._store().put(path, data)
            return
        target = path_inside(self.local, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            draft.write_bytes(data)
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise

    def write_text(self, path: str, text: str) -> None:
        """Write a UTF-8 text file whole or not at all. Raises OSError."""
        self.write_bytes(path, text.encode("utf-8"))

    def exists(self, path: str) -> bool:
        """Tell whether a file, or a folder with something in it, is there."""
        if self.local is not None:
            return (self.local / path).exists()
        with _client_errors():
            try:
                self._store().head(path)
            except FileNotFoundError:
                return any(batch for batch in self._store().list(path, chunk_size=1))
            return True

    def delete(self, path: str) -> None:
        """Delete a file; one that isn't there is no error."""
        with suppress(FileNotFoundError):
            if self.local is not None:
                path_inside(self.local, path).unlink()
            else:
                retry_idempotent(lambda: self._delete(path))

    def files(self, path: str) -> list[str]:
        """List the files directly in a sub folder, sorted; none where it doesn't exist."""
        if self.local is not None:
            return sorted(_local_files(self.local, path))
        with _client_errors():
            listed = self._store().list_with_delimiter(path)
        return sorted(info["path"] for info in listed["objects"])

    def entries(self, path: str = "") -> list[Entry]:
        """List what lies directly in the folder, or in one below, sorted.

        None where it isn't there. Raises NotADirectoryError where it is a file, OSError.
        """
        if self.local is not None:
            return sorted(_local_entries(self.local / path), key=lambda entry: entry.name)
        with _client_errors():
            listed = self._store().list_with_delimiter(path or None)
        folders = [prefix.rstrip("/") for prefix in listed["common_prefixes"]]
        names = [(info["path"], "file") for info in listed["objects"]]
        found = [*names, *((folder, "folder") for folder in folders)]
        return [
            Entry(name, cast("Literal['file', 'folder']", kind))
            for full, kind in sorted(found)
            if (name := full.rpartition("/")[2])
        ]

    def read_parquet(self, path: str, columns: Sequence[str] | None = None) -> Any:
        """Read a Parquet file as a pyarrow.Table. Raises OSError, pyarrow.ArrowInvalid."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.local is not None:
            # By its path, pyarrow takes a file that can't be opened for one that isn't there.
            with pa.OSFile(str(path_inside(self.local, path, to_read=True))) as file:
                return pq.read_table(file, columns=columns)
        return pq.read_table(io.BytesIO(self.read_bytes(path)), columns=columns)

    def _delete(self, path: str) -> None:
        with _client_errors():
            self._store().delete(path)

    def _store(self) -> ObjectStore:
        return _open_store(self.uri, tuple(sorted(self.storage_options.items())))


def _no_folder(text: str, why: str = "") -> DatasetError:
    """Make the error for a text that is neither a path nor a URL."""
    return DatasetError(
        f"{text!r} names no folder{why and f' ({why})'}: expected a path in UTF-8, or a URL such "
        "as s3://bucket/name",
        exit_code=2,
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


@lru_cache(maxsize=16)
def _open_store(uri: str, options: tuple[tuple[str, str], ...]) -> ObjectStore:
    from obstore.store import LocalStore, from_url

    if uri.startswith("file://"):
        return LocalStore(uri.removeprefix("file://"), mkdir=True)
    store: dict[str, str] = {}
    client: dict[str, str] = {}
    for key, value in options:
        name = key.lower()
        bare = name.removeprefix("aws_").removeprefix("azure_").removeprefix("google_")
        if bare in _CLIENT_OPTIONS:
            client[bare] = value
        elif not any(part in name for part in _TABLE_OPTIONS):
            store[name] = value
    # What may be named depends on the store, and is checked by it. Client options, even none, would
    # take the place of the environment's (AWS_ALLOW_HTTP).
    opened: Any = from_url
    try:
        return cast("ObjectStore", opened(uri, config=store or None, client_options=client or None))
    except ValueError as error:
        raise _no_folder(uri, str(error)) from error


@contextmanager
def _client_errors() -> Iterator[None]:
    """Turn what obstore raises into OSError, without its internal state."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(_short(error)) from error
    except BaseError as error:
        raise OSError(_short(error)) from error


def _short(error: Exception) -> str:
    """Cut the client's own state, which names retries, off the message of a fault of obstore."""
    return str(error).partition("\n\nDebug source:")[0]


def path_inside(root: Path, path: str, *, to_read: bool = False) -> Path:
    """Return the path of a file in a folder. Raises OSError where it leads out, by name or link.

    A file that is itself a link is refused `to_read`; writing and deleting go for the link alone.
    """
    parts = PurePath(path).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise OSError(f"{path!r} leads out of {root}")
    names = parts if to_read else parts[:-1]
    for end in range(1, len(names) + 1):
        if (step := root.joinpath(*names[:end])).is_symlink():
            raise OSError(
                f"{step} is a link to {step.readlink()}; what lies elsewhere is neither read nor "
                "written, put the file or folder itself there"
            )
    return root / path


def _local_entries(folder: Path) -> Iterator[Entry]:
    if folder.is_symlink() and not folder.exists():
        raise NotADirectoryError(f"{folder} is a link that leads nowhere")
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield Entry(entry.name, "link")
            else:
                yield Entry(entry.name, "folder" if entry.is_dir() else "file")


def _local_files(root: Path, path: str) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(root / path) as entries:
        for entry in entries:
            if entry.is_file():
                yield f"{path}/{entry.name}"


def retry_idempotent(action: Callable[[], T]) -> T:
    """Call `action`, which may be done twice, up to six times while its connection breaks.

    Returns what it returns; raises what it raised last.
    """
    from deltalake.exceptions import DeltaError

    for attempt in range(1, _TRIES):
        try:
            return action()
        except (OSError, DeltaError) as error:
            if not connection_broke(error):
                raise
        time.sleep(_FIRST_WAIT_S * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0))
    return action()


def connection_broke(error: Exception) -> bool:
    """Tell whether a connection broke in a request that the client sent only once."""
    text = str(error)
    return "HTTP error" in text and "retries" not in text


def message_of(error: BaseException) -> str:
    """Join the message of a fault, which may be a tree of lines, into one line."""
    lines = _COLOUR.sub("", str(error)).replace("↳", ": ").splitlines()
    text = " ".join(" ".join(lines).split()).replace(" : ", ": ")
    return text[:_MOST_CHARACTERS] or type(error).__name__
