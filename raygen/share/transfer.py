"""Upload a dataset, with its recipe and card, to where others find it, and download it again.

Knows the order in which files may become visible, and nothing of their content.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raygen.config import load_document
from raygen.core import UserError
from raygen.dataset import NEW, DatasetError, Folder, check_writable
from raygen.inspection import open_dataset
from raygen.planning import RECIPE
from raygen.share.card import CARD
from raygen.share.layout import (
    DATA,
    MANIFEST,
    SHARED_DATASET,
    Manifest,
    StagedDataset,
    check_files,
    local_engines,
    read_manifest,
    stage_dataset,
)
from raygen.share.locations import Location, location_errors, parse_location
from raygen.sources import named_paths

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pushed:
    """A dataset that was pushed.

    `address` is its page on the hub, None elsewhere; `public` says whether everybody can read it.
    `notes` are warnings for the user, `load` the arguments of `datasets.load_dataset`.
    """

    location: Location
    recipe: str
    examples: int
    files: int
    content: str
    public: bool
    address: str | None
    notes: tuple[str, ...]
    load: str


@dataclass(frozen=True, slots=True)
class Pulled:
    """A dataset that was pulled; `missing` is the recipe's source file if it wasn't shared."""

    folder: Path
    manifest: Manifest
    missing: str | None


def push(
    folder: str, reference: str, *, public: bool, tell: Tell, source: Path | None = None
) -> Pushed:
    """Upload a dataset.

    On the hub it is one commit. Elsewhere the data is uploaded first, under new names, then the
    card that names it, then the manifest; then the former data is deleted. So a reader sees either
    the former dataset or this one.

    Args:
        folder: The dataset's folder.
        reference: Where to upload it: `hf://datasets/OWNER/NAME`, a path or an fsspec URL.
        public: On the hub, let everybody read it.
        tell: Called with a line about each stage.
        source: The recipe's source file, to upload it too.

    Raises UserError and DatasetError; then nothing was uploaded, or the former dataset stays
    readable.
    """
    dataset = open_dataset(folder)
    location = parse_location(reference)
    with tempfile.TemporaryDirectory(prefix="raygen-push-") as temporary:
        tell("writing Parquet files")
        share = stage_dataset(dataset, Path(temporary), location.shown, location.load, source)
        tell(f"sending {len(share.files)} files to {reference}")
        if location.repository is not None:
            open_to_all, address = _to_hub(share, location, public)
        else:
            upload_share(share, location)
            open_to_all, address = False, None
    load = f'"{reference}", split="train"' if location.is_local else location.load
    return Pushed(
        location=location,
        recipe=share.manifest.recipe,
        examples=share.manifest.examples,
        files=len(share.files),
        content=share.manifest.content,
        public=open_to_all,
        address=address,
        notes=tuple(_notes(share)),
        load=load.format(data=share.pattern),
    )


def _to_hub(share: StagedDataset, location: Location, public: bool) -> tuple[bool, str]:
    repository = location.repository
    assert repository is not None  # noqa: S101 - the caller's branch
    open_to_all = repository.make(private=not public)
    _check_target(location)
    if open_to_all and not public:
        raise UserError(
            f"{location.reference} is there already and everybody can read it; nothing was pushed. "
            "If that is meant, push with --public"
        )
    message = f"{share.manifest.recipe}: {share.manifest.examples} examples"
    return open_to_all, repository.upload(share.folder, message, replaced=f"{DATA}/*")


def upload_share(share: StagedDataset, location: Location) -> None:
    """Upload a staged dataset to a folder that is empty or holds a former push of it.

    Raises UserError for a folder with other files, and DatasetError.
    """
    _check_target(location)
    former = location.read(MANIFEST)
    before = read_manifest(former, location.path(MANIFEST)) if former is not None else None
    if before is not None and before.recipe != share.manifest.recipe:
        raise UserError(
            f"{location.reference} has the dataset of {before.recipe!r}, and this one is of "
            f"{share.manifest.recipe!r}: nothing was pushed. Name another folder, or empty that one"
        )
    old = before.files if before is not None else {}
    for name in share.files:
        location.put(share.folder / name, name)
    for name in sorted(set(old) - set(share.files)):
        location.delete(name)


def _check_target(location: Location) -> None:
    """See that a push would write into its own folder only. Raises DatasetError."""
    with location_errors("look into", location.reference):
        check_writable(location, SHARED_DATASET, "REF")


def _notes(share: StagedDataset) -> list[str]:
    facts, notes = share.facts, []
    if facts.missing and not share.has_source:
        notes.append(
            f"the recipe reads {facts.missing}, which isn't pushed: who applies it needs that "
            "file; --source FILE puts it there"
        )
    if engines := local_engines(facts):
        models = ", ".join(engines)
        notes.append(f"a model that is a folder of this machine, others don't have: {models}")
    if not facts.recipe.license:
        notes.append("the recipe names no license; add `license:` to it, and apply again")
    if facts.status.pending:
        notes.append(f"the dataset isn't finished: {facts.status.pending} source rows are pending")
    return notes


def pull(reference: str, folder: Path | None) -> Pulled:
    """Download a shared dataset into a new folder, by default one of its name, and check its files.

    Raises UserError where the folder exists, and DatasetError.
    """
    location = parse_location(reference)
    target = folder or Path(location.name)
    check_writable(Folder.at(target), NEW, "raygen pull REF DIR")
    text = location.read(MANIFEST)
    if text is None:
        hidden = ", and for a private one that you are logged in (`hf auth login`)"
        raise DatasetError(
            f"no shared dataset at {reference}: it has no {MANIFEST}; expected what `raygen push` "
            f"wrote{hidden if location.repository else ''}",
            exit_code=2,
        )
    manifest = read_manifest(text, location.path(MANIFEST))
    parent = target.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{target.name}-") as temporary:
        draft = Path(temporary) / target.name
        for name in [*manifest.files, CARD]:
            location.fetch(name, draft)
        (draft / MANIFEST).write_text(text, "utf-8")
        check_files(draft, manifest, reference)
        paths = _source_paths(draft / RECIPE, reference)
        if target.exists():
            target.rmdir()
        draft.rename(target)
    missing = [path for path in paths if "://" not in path and path not in manifest.files]
    return Pulled(target, manifest, named_paths(missing) or None)


def _source_paths(recipe: Path, reference: str) -> list[str]:
    """Return what a pulled recipe reads. Raises DatasetError, and ProblemsError for no YAML."""
    data = load_document(recipe).data
    try:
        path = data["source"]["path"]
        return [path] if isinstance(path, str) else list(map(str, path))
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f"{reference}: its {RECIPE} is no recipe, and names no source.path; push it again",
            exit_code=2,
        ) from error
