"""Read and write where datasets are shared: the Hugging Face hub, or a folder by path or URL.

All files go through fsspec. Knows nothing of what is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raygen.core import (
    MAX_JSON_BYTES,
    Repository,
    UserError,
    first_line,
    network_error,
    without_secret,
)
from raygen.dataset import DatasetError, Entry, Folder, path_inside

_HUB = "hf://"
_DATASET = re.compile(r"hf://datasets/(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[^/]+))?/?")
_EXTRAS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a shared dataset is or goes; `reference` is how users name it.

    `repository` is None outside the hub. `root` is its folder in `filesystem`, of fsspec.
    """

    reference: str
    repository: Repository | None
    filesystem: Any
    root: str

    @property
    def name(self) -> str:
        """The last part of the reference, by default the name of a pulled folder."""
        if self.repository is not None:
            return self.repository.name.rpartition("/")[2]
        return self.root.rstrip("/").rpartition("/")[2]

    @property
    def shown(self) -> str | None:
        """The reference for others; None for a local folder."""
        return None if self.is_local else self.reference

    @property
    def load(self) -> str:
        """The arguments of `datasets.load_dataset` to read it; `{data}` stands for the shards."""
        if self.repository is not None:
            branch = self.repository.branch
            revision = f', revision="{branch}"' if branch else ""
            return f'"{self.repository.name}"{revision}, split="train"'
        if self.is_local:
            return f'"path/to/{self.name}", split="train"'
        return f'"parquet", data_files="{self.reference}/{{data}}", split="train"'

    @property
    def is_local(self) -> bool:
        """Whether the location is a local folder."""
        return "://" not in self.reference

    def path(self, name: str) -> str:
        """Join a file's name to the root."""
        return f"{self.root}/{name}"

    def join(self, *parts: str) -> str:
        """Return the reference of something in the location."""
        return "/".join((self.reference, *parts))

    def entries(self, path: str = "") -> list[Entry]:
        """List what lies directly in the location, or in a folder of it, sorted.

        Raises NotADirectoryError where it is a file, OSError.
        """
        where = self.path(path) if path else self.root
        try:
            listed = self.filesystem.ls(where, detail=True)
        except FileNotFoundError:
            return []
        itself = [info["name"].rstrip("/") for info in listed] == [where]
        if itself and self.filesystem.isfile(where):
            raise NotADirectoryError(f"{where} is a file")
        found = [(info["name"].rstrip("/").rpartition("/")[2], info) for info in listed]
        return sorted(
            (Entry(name, _kind(info)) for name, info in found if name),
            key=lambda entry: entry.name,
        )

    def read_text(self, path: str) -> str:
        """Read the text of a file. Raises FileNotFoundError, OSError."""
        self._check_no_link(path)
        with self.filesystem.open(self.path(path), "rb") as file:
            content: bytes = file.read(MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            raise OSError(f"{path} has more than {MAX_JSON_BYTES:,} bytes")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise OSError(f"{path} is no text in UTF-8 (byte {error.start})") from error

    def read(self, name: str) -> str | None:
        """Read a text file; None where there is none. Raises DatasetError."""
        with location_errors("read", self.reference):
            try:
                return self.read_text(name)
            except FileNotFoundError:
                return None

    def fetch(self, name: str, folder: Path) -> None:
        """Download a file into a local folder. Raises DatasetError, also where there is none."""
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with location_errors("read", self.reference):
            self._check_no_link(name)
            try:
                self.filesystem.get_file(self.path(name), str(target))
            except FileNotFoundError as error:
                raise DatasetError(
                    f"{self.reference} has no {name}, which its list names; push it again"
                ) from error

    def put(self, source: Path, name: str) -> None:
        """Upload a file under a temporary name, then rename it. Raises DatasetError."""
        target = self.path(name)
        draft = f"{target}.part"
        with location_errors("write", self.reference):
            self._check_no_link(name)
            self._check_no_link(f"{name}.part")
            self.filesystem.put_file(str(source), draft)
            self.filesystem.mv(draft, target)

    def delete(self, name: str) -> None:
        """Delete a file if it exists. Raises DatasetError."""
        with location_errors("delete a file", self.reference):
            self._check_no_link(name)
            if self.filesystem.exists(self.path(name)):
                self.filesystem.rm_file(self.path(name))

    def _check_no_link(self, name: str) -> None:
        """Raise OSError where a file of a local folder would be one that lies elsewhere."""
        if self.is_local:
            path_inside(Path(self.root), name, to_read=True)


def _kind(info: Mapping[str, Any]) -> Literal["file", "folder", "link"]:
    if info.get("islink"):
        return "link"
    return "folder" if info["type"] == "directory" else "file"


def parse_location(reference: str) -> Location:
    """Parse `hf://datasets/OWNER/NAME[@REVISION]`, a path or an fsspec URL.

    Raises UserError where it is none of these, or its filesystem isn't installed.
    """
    import fsspec

    try:
        reference = without_secret(reference).removeprefix("file://").rstrip("/")
    except ValueError as error:
        raise UserError(str(error)) from None
    repository = None
    if reference.startswith(_HUB):
        match = _DATASET.fullmatch(reference)
        if match is None:
            raise UserError(f"{reference}: expected hf://datasets/OWNER/NAME[@REVISION]")
        repository = Repository(match["name"], "dataset", match["revision"])
    elif "://" not in reference:
        path = Folder.at(reference).uri
        return Location(reference, None, fsspec.filesystem("file", auto_mkdir=True), path)
    scheme = reference.partition("://")[0]
    try:
        filesystem, root = fsspec.core.url_to_fs(reference)
    except ImportError as error:
        package = _EXTRAS.get(scheme)
        hint = f"; pip install {package}" if package else ""
        raise UserError(f"{reference}: {error}{hint}") from error
    except ValueError as error:
        raise UserError(f"{reference}: {error}; expected a path, or a URL as s3://...") from error
    filesystem.invalidate_cache()
    return Location(reference, repository, filesystem, root.rstrip("/"))


@contextmanager
def location_errors(doing: str, where: str) -> Iterator[None]:
    """Turn the exceptions of a filesystem into a DatasetError that says what couldn't be done."""
    try:
        yield
    except _client_errors() as error:
        first = first_line(error)
        raise DatasetError(
            f"can't {doing} {where}: {first}; check the name, the network and your credentials"
        ) from error


def _client_errors() -> tuple[type[Exception], ...]:
    """Collect the exceptions of the clients that fsspec uses."""
    from aiohttp import ClientError

    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError, ClientError, network_error())
    return (OSError, ClientError, network_error(), BotoCoreError)
