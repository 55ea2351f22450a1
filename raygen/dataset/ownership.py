"""Decide whether a folder may be written to: new, empty, or already ours and of the same kind.

Whatever writes to a folder or deletes in it asks `check_writable` before it starts. A folder is
known by what we wrote into it, never by its name or by the names of what lies there: a dataset by
the schema of its ledger, a training run by its owner's token, figures or events. A start that was
killed before it got there leaves files of the writer's own forms alone, and is ours too. Knows
what lies in a folder; knows nothing of what is about to be written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from raygen.dataset.batches import BATCHES
from raygen.dataset.records import EXAMPLES, ROWS, TRANSCRIPTS, DatasetError
from raygen.dataset.schema import LEDGER
from raygen.dataset.storage import Entry, storage_errors

_LEDGER_START = f"{ROWS}/_delta_log/{0:020d}.json"
_SHARED_COLUMNS = frozenset(LEDGER.names) - {"retryable"}
"""Columns that the ledger has in every format; format 2 names one otherwise."""

_TOKEN = re.compile(r"[0-9a-f]{12}")
_NOTHING = re.compile(r"(?!)")
_KEYED_SOURCE = re.compile(r"[0-9a-f]{32}\.parquet|\.[0-9a-f]{32}\.parquet\.[0-9a-f]{8}\.tmp")
"""A keyed copy of the source, named by the hash of its content, and its draft."""

_STAGED = re.compile(r"[0-9]{20}\.json#[0-9]+|_commit_[0-9a-f-]{36}\.json\.tmp(#[0-9]+)?")
"""A table's first commit while deltalake writes it."""

_DATASET_PARTS = (ROWS, EXAMPLES, TRANSCRIPTS, BATCHES, "source", "control", "logs", "verdicts")
_RUN_PARTS = ("checkpoints", "best", "validating", "final", "evaluations", "ray", "tensorboard")
_SHOWN = 5


class Browsable(Protocol):
    """A folder that can be looked into: local, or of an object store."""

    def join(self, *parts: str) -> str:
        """Return the full path or URI of something in the folder."""
        ...

    def entries(self, path: str = "") -> Sequence[Entry]:
        """List what lies directly in the folder, or in one below. Raises OSError."""
        ...

    def read_text(self, path: str) -> str:
        """Read a UTF-8 text file whole. Raises FileNotFoundError, OSError."""
        ...


@dataclass(frozen=True, slots=True)
class FolderKind:
    """A kind of folder that is written as a whole: its name for people, and its mark.

    `is_ours` takes the folder and its entries. `parts` are the folders inside that files are
    written to and deleted in: none of them may be a link to elsewhere.
    """

    name: str
    is_ours: Callable[[Browsable, Sequence[Entry]], bool]
    parts: tuple[str, ...] = ()


def check_writable(folder: Browsable, kind: FolderKind, advice: str) -> None:
    """Raise DatasetError where a folder is neither new, nor empty, nor ours and of this kind.

    `advice` says how another folder is named. Nothing is written.
    """
    where = folder.join().rstrip("/")
    with storage_errors("look into the folder", where):
        try:
            entries = folder.entries()
        except NotADirectoryError:
            raise _refusal(
                where, kind, "it, or a folder on its path, is a file or a broken link", advice
            ) from None
        if not entries:
            return
        if not kind.is_ours(folder, entries):
            raise _refusal(where, kind, _found(folder, entries), advice)
    links = [entry.name for entry in entries if entry.kind == "link" and entry.name in kind.parts]
    if links:
        raise DatasetError(
            f"{where}/{links[0]} is a link; found one, expected a folder, since files in it are "
            "overwritten and deleted. Put a folder there in its place, move the link's target "
            f"here, or name another folder ({advice}); nothing was changed",
            exit_code=2,
        )


def is_dataset(folder: Browsable, entries: Sequence[Entry]) -> bool:
    """Whether a folder holds a dataset of raygen, or what a killed first start left of one."""
    return _has_ledger(folder) or all(_is_start(folder, entry) for entry in entries)


def is_training_run(folder: Browsable, entries: Sequence[Entry]) -> bool:
    """Whether a folder holds a training run, or what a killed first start left of one."""
    names = {entry.name for entry in entries}
    if _TOKEN.fullmatch(_text(folder, "owner", names).strip()):
        return True
    if _json(folder, "result.json", names).keys() >= {"student", "steps", "checkpoint"}:
        return True
    event, _, _ = _text(folder, "metrics.jsonl", names).partition("\n")
    if _parsed(event).keys() >= {"event", "time", "student", "model"}:
        return True
    latest = _text(folder, "checkpoints/latest", {"checkpoints/latest"}).strip()
    if re.fullmatch(r"step-\d+(\.\d+)?", latest):
        name = f"checkpoints/{latest}/progress.json"
        return _json(folder, name, {name}).keys() >= {"version", "cursor"}
    return names <= {".owner.tmp"}


def check_replaceable(path: Path, is_ours: Callable[[str], bool], advice: str) -> None:
    """Raise DatasetError where a file is there that isn't ours; `is_ours` takes its text.

    `advice` says how another file is named.
    """
    if not os.path.lexists(path):
        return
    with storage_errors("look at the file", str(path)):
        text = ""
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes().decode("utf-8", "replace")
    if not is_ours(text):
        raise DatasetError(
            f"{path} is there already and isn't a file that this command wrote; nothing was "
            f"changed. Name another file ({advice}), or move that one away",
            exit_code=2,
        )


def is_nobodys(_: Browsable, __: Sequence[Entry]) -> bool:
    """Whether a folder that isn't empty may be written to nevertheless: never."""
    return False


NEW = FolderKind("a folder of its own", is_nobodys)
DATASET = FolderKind("a dataset of raygen", is_dataset, _DATASET_PARTS)
TRAINING_RUN = FolderKind("a training run of streamtrain", is_training_run, _RUN_PARTS)


def _has_ledger(folder: Browsable) -> bool:
    """Whether the table of finished rows begins with the ledger's schema."""
    for line in _text(folder, _LEDGER_START, {_LEDGER_START}).splitlines():
        schema = _parsed(line).get("metaData", {}).get("schemaString")
        if schema is not None:
            names = {field.get("name") for field in _parsed(schema).get("fields", ())}
            return names >= _SHARED_COLUMNS
    return False


def _is_start(folder: Browsable, entry: Entry) -> bool:
    """Whether an entry is one that a start makes before the ledger is there.

    A student may be there as well: it waits for its dataset.
    """
    if entry.kind != "folder":
        return False
    if entry.name.startswith("student"):
        inside = folder.entries(entry.name)
        return not inside or is_training_run(_Below(folder, entry.name), inside)
    form = {"source": _KEYED_SOURCE, "logs": _NOTHING, ROWS: _NOTHING}.get(entry.name)
    if form is None:
        return False
    inside = folder.entries(entry.name)
    if entry.name == ROWS and [each.name for each in inside] == ["_delta_log"]:
        inside, form = folder.entries(f"{ROWS}/_delta_log"), _STAGED
    return all(each.kind == "file" and form.fullmatch(each.name) for each in inside)


@dataclass(frozen=True, slots=True)
class _Below:
    """A folder inside another one."""

    folder: Browsable
    name: str

    def join(self, *parts: str) -> str:
        return self.folder.join(self.name, *parts)

    def entries(self, path: str = "") -> Sequence[Entry]:
        return self.folder.entries("/".join(filter(None, (self.name, path))))

    def read_text(self, path: str) -> str:
        return self.folder.read_text(f"{self.name}/{path}")


def _refusal(where: str, kind: FolderKind, found: str, advice: str) -> DatasetError:
    return DatasetError(
        f"{where} can't become {kind.name}: {found}; expected a folder that is new or empty"
        f"{'' if kind is NEW else f', or that holds {kind.name}'}. Name another folder ({advice}), "
        "or empty this one; nothing was changed",
        exit_code=2,
    )


def _found(folder: Browsable, entries: Sequence[Entry]) -> str:
    """Say what a folder holds that isn't ours."""
    for kind in (DATASET, TRAINING_RUN):
        if kind.is_ours(folder, entries):
            return f"it holds {kind.name}"
    names = sorted(entry.name + ("/" if entry.kind == "folder" else "") for entry in entries)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"it holds other files ({', '.join(names[:_SHOWN])}{more})"


def _text(folder: Browsable, path: str, names: Collection[str]) -> str:
    if path not in names:
        return ""
    try:
        return folder.read_text(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeDecodeError):
        return ""


def _json(folder: Browsable, path: str, names: Collection[str]) -> dict[str, Any]:
    return _parsed(_text(folder, path, names))


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
