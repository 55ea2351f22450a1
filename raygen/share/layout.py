"""Lay a dataset out as files for others: Parquet shards, recipe, card, and a manifest of them.

The layout is the Hugging Face hub's, so `datasets.load_dataset` reads it. Knows local folders, and
nothing of where they are uploaded.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from math import ceil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from raygen.config import dump_text, parse_text
from raygen.core import DamagedFileError, UserError, count, parse_json_object, plural
from raygen.dataset import (
    PLAN,
    SHARED,
    Browsable,
    DatasetError,
    Entry,
    Folder,
    FolderKind,
    content_hash,
    example_schema,
    path_inside,
    storage_errors,
)
from raygen.inspection import CardFacts, OpenedDataset, card_facts, portable
from raygen.planning import RECIPE
from raygen.recipe import STORED
from raygen.share.card import CARD, CardLinks, dataset_card, is_local, public_name
from raygen.sources import key_source, named_paths

if TYPE_CHECKING:
    import polars as pl

SHARE_VERSION = 2
"""The version of the layout and of its manifest."""

MANIFEST = SHARED
DATA = "data"
_SHARD_BYTES = 256 * 2**20
_SHARD = re.compile(r"train-[0-9]{5}-of-[0-9]{5}-[0-9a-f]{16}\.parquet(\.part)?")
_OF_THE_HUB = frozenset({".gitattributes"})
"""What the hub puts into a new repository."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a shared dataset.

    `content` is the hash of its examples. `files` are SHA-256 hashes by path, of all files but the
    manifest and the card, which its owner may edit.
    """

    version: int
    recipe: str
    plan: str
    content: str
    examples: int
    files: Mapping[str, str]

    def to_json(self) -> str:
        """Format the manifest as the text of its file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


class _ManifestFile(BaseModel):
    version: int
    recipe: str
    plan: str
    content: str
    examples: int
    files: dict[str, str]


def read_manifest(text: str, where: str) -> Manifest:
    """Parse a manifest; `where` names it in errors. Raises DatasetError."""
    expected = "the list of files that `raygen push` wrote"
    try:
        version = parse_json_object(text, where, expected).get("version")
        if version == SHARE_VERSION:
            data = parse_json_object(text, where, expected, _ManifestFile)
            return _checked(Manifest(**data), where)
    except (DamagedFileError, TypeError) as error:
        raise DatasetError(
            f"{where} is no list of a shared dataset ({error}); expected what `raygen push` wrote",
            exit_code=2,
        ) from error
    raise DatasetError(
        f"{where}: version {version!r}; this raygen reads version {SHARE_VERSION}", exit_code=2
    )


def _checked(manifest: Manifest, where: str) -> Manifest:
    """Refuse a stranger's manifest that names files outside of its folder. Raises DatasetError."""
    for name in dict(manifest.files):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or "\\" in name:
            raise DatasetError(
                f"{where} names the file {name!r}, outside of it; expected what `raygen push` "
                "wrote, so ask whoever made it",
                exit_code=2,
            )
    return manifest


@dataclass(frozen=True, slots=True)
class StagedDataset:
    """A dataset laid out in a local folder."""

    folder: Path
    manifest: Manifest
    facts: CardFacts
    has_source: bool

    @property
    def pattern(self) -> str:
        """A glob that matches the shards of this content only."""
        return _pattern(self.manifest.content)

    @property
    def files(self) -> list[str]:
        """All paths in the order of upload: data, other files, then the card, then the manifest."""
        rest = sorted(self.manifest.files, key=lambda path: (not path.startswith(DATA), path))
        return [*rest, CARD, MANIFEST]


def stage_dataset(
    dataset: OpenedDataset,
    folder: Path,
    reference: str | None,
    load: str,
    source: Path | None = None,
) -> StagedDataset:
    """Write a dataset's files for sharing into an empty folder.

    Examples are sorted by id, so equal datasets give equal files.

    Args:
        dataset: The dataset to share.
        folder: The empty local folder.
        reference: Where others will find the dataset; None where they can't reach it.
        load: The arguments of `datasets.load_dataset`; `{data}` stands for the shards.
        source: The recipe's source file, to share it too.

    Raises DatasetError, also where the dataset changes meanwhile, and UserError where `source`
    isn't the file that the dataset was made of.
    """
    facts = card_facts(dataset)
    pattern = _pattern(facts.content)
    files = _write_shards(facts, folder)
    if content_hash(_scan(folder, files, facts.content)) != facts.content:
        raise DatasetError(
            f"{dataset.folder.uri} changed meanwhile; let the run that writes to it end, then push "
            "again"
        )
    texts = {RECIPE: shared_recipe(facts.frozen), PLAN: _shared_plan(facts.plan)}
    if source is not None:
        name = _copy_source(facts, source, folder)
        files[name] = file_hash(folder / name)
    if facts.lock is not None:
        texts[STORED] = facts.lock.to_text()
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
        files[name] = file_hash(folder / name)
    links = CardLinks([pattern], load.format(data=pattern), reference, source is not None)
    (folder / CARD).write_text(dataset_card(facts, links), "utf-8")
    manifest = Manifest(
        version=SHARE_VERSION,
        recipe=facts.recipe.recipe,
        plan=facts.status.plan,
        content=facts.content,
        examples=facts.status.examples,
        files=files,
    )
    (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return StagedDataset(folder, manifest, facts, source is not None)


def shared_recipe(frozen: str) -> str:
    """Rewrite a frozen recipe for others.

    The student goes, since others lack its held-out files; local paths of source and output become
    relative.
    """
    data = dict(parse_text(frozen, RECIPE).data)
    data.pop("train", None)
    data["output"] = {**data["output"], "path": "out"}
    path = data["source"]["path"]
    shared = portable(path) if isinstance(path, str) else list(map(portable, path))
    data["source"] = {**data["source"], "path": shared}
    return dump_text(data)


def read_shards(folder: Path, manifest: Manifest) -> pl.LazyFrame:
    """Scan the examples of a shared dataset in a local folder."""
    return _scan(folder, manifest.files, manifest.content)


def check_files(folder: Path, manifest: Manifest, where: str) -> None:
    """Check the hashes of a local folder's files and examples. Raises DatasetError.

    `where` names the shared dataset in errors.
    """
    for path, expected in manifest.files.items():
        if file_hash(folder / path) != expected:
            raise DatasetError(
                f"{where}: {path} is not what {MANIFEST} says; either a push is under way, or was "
                "cut short (push again), or the file was changed"
            )
    content = content_hash(read_shards(folder, manifest))
    if content != manifest.content:
        raise DatasetError(
            f"{where}: its examples have the content {content}, and {MANIFEST} says "
            f"{manifest.content}; push it again"
        )


def is_shared(folder: Browsable, entries: Sequence[Entry]) -> bool:
    """Tell whether a folder holds a shared dataset, or what a first push that was cut short left.

    The data comes first, under names of this layout's form, and the manifest last.
    """
    names = {entry.name.removesuffix(".part") for entry in entries} - _OF_THE_HUB
    if MANIFEST in names:
        try:
            read_manifest(folder.read_text(MANIFEST), folder.join(MANIFEST))
        except (FileNotFoundError, UnicodeDecodeError, DatasetError):
            return False
        return True
    data = folder.entries(DATA) if DATA in names else []
    shards = [each for each in data if _SHARD.fullmatch(each.name)]
    return bool(shards or not names) and len(shards) == len(data)


def file_hash(path: Path) -> str:
    """Hash a file by SHA-256. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SHARED_DATASET = FolderKind("a dataset that `raygen push` wrote", is_shared, (DATA,))


def _pattern(content: str) -> str:
    return f"{DATA}/train-*-{content}.parquet"


def _scan(folder: Path, files: Iterable[str], content: str) -> pl.LazyFrame:
    import polars as pl

    with storage_errors("read the examples", str(folder)):
        shards = [path_inside(folder, p) for p in files if fnmatch(p, _pattern(content))]
    return pl.scan_parquet(sorted(shards), glob=False)


def _write_shards(facts: CardFacts, folder: Path) -> dict[str, str]:
    """Write the examples as Parquet files named by content hash; return file hashes by path."""
    import pyarrow.parquet as pq

    examples = facts.dataset.collect(facts.dataset.examples().sort("id"))
    if not len(examples):
        raise DatasetError("the dataset has no examples, so there is nothing to share", exit_code=2)
    schema = example_schema(facts.plan["columns"])
    shards = max(1, ceil(examples.estimated_size() / _SHARD_BYTES))
    rows = ceil(len(examples) / shards)
    shards = ceil(len(examples) / rows)
    (folder / DATA).mkdir()
    files = {}
    for shard in range(shards):
        name = f"{DATA}/train-{shard:05}-of-{shards:05}-{facts.content}.parquet"
        table = examples.slice(shard * rows, rows).to_arrow().select(schema.names).cast(schema)
        pq.write_table(table, folder / name, compression="zstd")
        files[name] = file_hash(folder / name)
    return files


def _copy_source(facts: CardFacts, source: Path, folder: Path) -> str:
    """Copy a dataset's source file to where the recipe in `folder` reads it; return that path.

    Raises UserError where the file isn't what the dataset was made of.
    """
    name = facts.missing
    if name is None:
        raise UserError(
            f"--source: everybody can read {named_paths(facts.recipe.source.paths)}; leave it out"
        )
    is_one = len(facts.recipe.source.paths) == 1 and not any(sign in name for sign in "*?[")
    if not source.is_file() or not is_one:
        raise UserError(f"--source {source}: expected one file, in place of {name}")
    target = folder / name
    if target.exists() or target.suffix != source.suffix:
        raise UserError(f"--source {source}: it can't stand for {name}; expected that file")
    keys = facts.dataset.tables.done(facts.status.plan).keys()
    if unknown := keys - _keys(facts, source):
        raise UserError(
            f"--source {source}: {count(len(unknown))} of the dataset's {plural(len(keys), 'row')} "
            "come from no row of it; give the file that the recipe read"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return name


def _keys(facts: CardFacts, source: Path) -> set[str]:
    spec = facts.recipe.source.model_copy(update={"path": str(source.resolve())})
    task = replace(facts.dataset.task, is_labelled=not spec.unlabelled)
    with tempfile.TemporaryDirectory() as folder:
        return set(key_source(spec, task, source.parent, Folder.at(folder)).keys)


def _shared_plan(plan: Mapping[str, Any]) -> str:
    """Format plan.json without local paths of models."""
    engines = {
        name: {**engine, "model": public_name(engine["model"])}
        for name, engine in plan["engines"].items()
    }
    return json.dumps({**plan, "engines": engines}, indent=2, ensure_ascii=False) + "\n"


def local_engines(facts: CardFacts) -> list[str]:
    """List the engines whose models are local folders."""
    return [name for name, e in facts.recipe.engines.items() if is_local(e.model)]
