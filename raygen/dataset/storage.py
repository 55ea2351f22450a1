"""The output folder, on local disk or object storage, and single files in it.

Knows paths and bytes; knows nothing of tables, commits or recipes. Object storage is reached by
the client that deltalake itself uses, so one set of `storage_options` serves tables and files.
"""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from raygen.dataset.connection import again, told
from raygen.dataset.records import DatasetError

_UNFIT = re.compile(r"[][|^\\?]|%[0-9A-Fa-f]{2}")
"""deltalake 1.6 panics at some of these, and takes the others for parts of a URL."""


@contextmanager
def storage_errors(doing: str, where: str) -> Iterator[None]:
    """Turn a fault of the disk, the object store or deltalake into a DatasetError."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (OSError, DeltaError) as error:
        raise DatasetError(
            f"can't {doing} in {where}: {told(error)}; check that the place exists, can be "
            "written and has free space, then run the same command again: it goes on from here"
        ) from error


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its absolute local path or its URI; small and picklable.

    `storage_options` are those of deltalake (for example `AWS_REGION`), unused on local disk.
    """

    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, path: str | Path, storage_options: Mapping[str, str] | None = None) -> Folder:
        """The folder at a local path (made absolute) or a URI. Needn't exist."""
        text = str(path)
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        if "://" not in text:
            return cls(str(Path(text).expanduser().absolute()))
        return cls(text.rstrip("/"), dict(storage_options or {}))

    @property
    def local(self) -> Path | None:
        """The folder as a path, None on object storage."""
        return None if "://" in self.uri else Path(self.uri)

    @property
    def unfit(self) -> str:
        """What in a local path deltalake can't deal with, empty where there is nothing."""
        found = None if self.local is None else _UNFIT.search(self.uri)
        return found[0] if found else ""

    def join(self, *parts: str) -> str:
        """The full path or URI of something in the folder."""
        return "/".join((self.uri, *parts))

    def read_bytes(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError, or OSError from the storage."""
        if self.local is not None:
            return (self.local / path).read_bytes()
        return again(lambda: self._download(path))

    def read_text(self, path: str) -> str:
        """A file's content as UTF-8 text. Raises as read_bytes does."""
        return self.read_bytes(path).decode("utf-8")

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all. Raises OSError."""
        if self.local is None:
            again(lambda: self._upload(path, data))
            return
        target = self.local / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def write_text(self, path: str, text: str) -> None:
        """Write a UTF-8 text file whole or not at all. Raises OSError."""
        self.write_bytes(path, text.encode("utf-8"))

    def exists(self, path: str) -> bool:
        """Whether a file, or a folder with something in it, is there."""
        if self.local is not None:
            return (self.local / path).exists()
        if again(lambda: self._store().get_file_info([path]))[0].type == _file_type():
            return True
        return bool(again(lambda: self._store().get_file_info_selector(path, True, True)))

    def delete(self, path: str) -> None:
        """Delete a file; one that isn't there is no error."""
        with suppress(FileNotFoundError):
            if self.local is not None:
                (self.local / path).unlink()
            else:
                again(lambda: self._store().delete_file(path))

    def files(self, path: str) -> list[str]:
        """The paths of the files directly in a sub folder, sorted; none where it doesn't exist."""
        if self.local is not None:
            return sorted(_local_files(self.local, path))
        found = again(lambda: self._store().get_file_info_selector(path, True, False))
        return sorted(info.path for info in found if info.type == _file_type())

    def read_parquet(self, path: str, columns: Sequence[str] | None = None) -> Any:
        """A Parquet file as a pyarrow.Table. Raises OSError, pyarrow.ArrowInvalid."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.local is not None:
            # By its path, pyarrow takes a file that can't be opened for one that isn't there.
            with pa.OSFile(str(self.local / path)) as file:
                return pq.read_table(file, columns=columns)
        return pq.read_table(io.BytesIO(self.read_bytes(path)), columns=columns)

    def _download(self, path: str) -> bytes:
        with _stream(self._store().open_input_file(path)) as stream:
            return bytes(stream.read(None))

    def _upload(self, path: str, data: bytes) -> None:
        with _stream(self._store().open_output_stream(path, None)) as stream:
            stream.write(data)

    def _store(self) -> Any:
        return _open_store(self.uri, tuple(sorted(self.storage_options.items())))


@lru_cache(maxsize=16)
def _open_store(uri: str, options: tuple[tuple[str, str], ...]) -> Any:
    # The public DeltaStorageHandler wraps the streams in a way that refuses to write bytes
    # (deltalake 1.6 with pyarrow 26), so this takes the handler that it wraps.
    from deltalake._internal import DeltaFileSystemHandler

    return DeltaFileSystemHandler(uri, dict(options))


@contextmanager
def _stream(stream: Any) -> Iterator[Any]:
    try:
        yield stream
    finally:
        stream.close()


def _file_type() -> Any:
    from pyarrow.fs import FileType

    return FileType.File


def _local_files(root: Path, path: str) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(root / path) as entries:
        for entry in entries:
            if entry.is_file():
                yield f"{path}/{entry.name}"
