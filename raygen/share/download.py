"""Download a shared dataset into a local folder, complete and checked, or not at all.

Knows the layout; nothing of who wrote it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from raygen.config import parse_text
from raygen.core import UserError
from raygen.dataset import DatasetError
from raygen.planning import RECIPE
from raygen.share.card import CARD
from raygen.share.layout import MANIFEST, Manifest, check_files, read_manifest
from raygen.share.locations import parse_location


@dataclass(frozen=True, slots=True)
class Pulled:
    """A dataset that was pulled. `missing` is the file that its recipe reads, None if it came."""

    folder: Path
    manifest: Manifest
    missing: str | None


def pull(reference: str, folder: Path | None) -> Pulled:
    """Download a shared dataset into a new folder, by default one of its name. Raises UserError."""
    location = parse_location(reference)
    target = folder or Path(location.name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is there already; nothing was changed. Name another folder")
    text = location.read(MANIFEST)
    if text is None:
        hidden = ", and for a private one that you are logged in (`hf auth login`)"
        raise DatasetError(
            f"no shared dataset at {reference}: it has no {MANIFEST}; expected what `raygen push` "
            f"wrote{hidden if location.repository else ''}",
            exit_code=2,
        )
    manifest = read_manifest(text, location.path(MANIFEST))
    _check_inside(manifest, reference)
    draft = target.absolute().with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for name in [*manifest.files, CARD]:
            location.fetch(name, draft)
        (draft / MANIFEST).write_text(text, "utf-8")
        check_files(draft, manifest, reference)
        source = parse_text((draft / RECIPE).read_text("utf-8"), RECIPE).data["source"]["path"]
        if target.exists():
            target.rmdir()
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    has_source = "://" in source or source in manifest.files
    return Pulled(target, manifest, None if has_source else source)


def _check_inside(manifest: Manifest, reference: str) -> None:
    """Refuse a stranger's manifest that names files outside the folder. Raises DatasetError."""
    for name in manifest.files:
        if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name:
            raise DatasetError(f"{reference}: its list names {name!r}, outside of it", exit_code=2)
