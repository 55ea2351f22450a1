"""Fingerprints: which model an engine runs, and which vocabulary its tokenizer has.

A model is known by its commit on the hub or by the content of its files; a fake engine by its
scripted answers. Knows nothing of how backends load a model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import digest, expand_home
from raygen.engines.args import ENDPOINTS
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.models.adapter import adapter_base
from raygen.engines.models.bundled import bundled_path, bundled_problem
from raygen.engines.models.hub import hub_commit
from raygen.engines.models.hub_access import hub_access

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FAKE_TIMES = ("latency", "tokens_per_second")


@dataclass(frozen=True, slots=True)
class ModelFingerprint:
    """What identifies a model: a commit on the hub, a hash of its content, or why it has neither.

    `base` is the model that an adapter was made for.
    """

    name: str
    revision: str | None = None
    commit: str | None = None
    content: str | None = None
    unresolved: str | None = None
    base: ModelFingerprint | None = None


def fingerprint_model(spec: EngineSpec) -> ModelFingerprint:
    """Identify an engine's model as it is now; asks the hub, or reads a local model's files."""
    if spec.backend == "fake":
        identifying_args = {
            name: value for name, value in spec.args.items() if name not in _FAKE_TIMES
        }
        return ModelFingerprint(spec.model, spec.revision, content=digest("fake", identifying_args))
    if spec.backend in ENDPOINTS:
        why = "an endpoint doesn't say what it serves under a name"
        return ModelFingerprint(spec.model, spec.revision, unresolved=why)
    with hub_access(anonymous=spec.anonymous):
        return _pin(spec.model, spec.revision)


def _pin(model: str, revision: str | None, is_base: bool = False) -> ModelFingerprint:
    """Identify a model; the base of an adapter has none of its own."""
    if problem := bundled_problem(model):
        return ModelFingerprint(model, revision, unresolved=problem)
    path = bundled_path(model) or expand_home(model)
    if path.exists():
        base = None if is_base else _base(path)
        return ModelFingerprint(model, revision, content=_content(path), base=base)
    if revision and _COMMIT.fullmatch(revision):
        return ModelFingerprint(model, revision, commit=revision)
    from huggingface_hub import constants

    try:
        return ModelFingerprint(model, revision, commit=hub_commit(model, revision))
    except EngineSetupError as error:
        # Without the folders that were searched, which are this machine's, and without advice.
        why = str(error).rpartition(f" on {constants.ENDPOINT}: ")[2].partition(";")[0]
        return ModelFingerprint(model, revision, unresolved=why)


def _base(folder: Path) -> ModelFingerprint | None:
    """Identify the model that the adapter in a folder was made for; None if it holds no adapter."""
    try:
        base = adapter_base(folder)
    except EngineSetupError:
        return None
    return None if base is None else _pin(base.model, base.revision, is_base=True)


def _content(path: Path) -> str:
    """Hash a file, or all files of a folder with their names."""
    files = [(file.relative_to(path).as_posix(), file) for file in _files(path)]
    return digest("model", [(name, _hash(file)) for name, file in files])


def _files(path: Path) -> Iterator[Path]:
    """Yield the files of a folder, or the file itself; hidden ones are no part of a model."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith((".", "__")) for part in file.relative_to(path).parts)
        if file.is_file() and not hidden:
            yield file


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]


def vocabulary_fingerprint(tokenizer: Any) -> str:
    """Hash the tokens of a Hugging Face tokenizer and their ids.

    Added tokens count for nothing: a student has control tokens of its own.
    """
    added = tokenizer.get_added_vocab()
    pairs = sorted(pair for pair in tokenizer.get_vocab().items() if pair[0] not in added)
    return digest("vocabulary", pairs)[:16]
