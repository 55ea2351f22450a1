"""Open other datasets for their recorded calls, and find those of a run's source rows.

They are only read; their files, also a stranger's, must lie inside their own folder, as everywhere.
Knows nothing of how calls are answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from raygen.core import UserError, count, plural
from raygen.dataset import Dataset, Folder, TranscriptFile

Files = Mapping[str, tuple[TranscriptFile, ...]]
"""Transcript files by the key of a source row."""


def open_others(paths: Sequence[str], out: Folder) -> tuple[Folder, ...]:
    """Open the datasets at some paths; `out` is the one that is made.

    Raises UserError where one is that dataset itself, and DatasetError where there is none.
    """
    folders = tuple(Dataset.open(path).folder for path in dict.fromkeys(paths))
    for folder in folders:
        if _place(folder) == _place(out):
            raise UserError(
                f"--calls {folder.uri} is the dataset that is made, whose calls are reused anyway; "
                "name another one, or leave --calls out"
            )
    return folders


def find_calls(others: Sequence[Folder]) -> dict[str, tuple[TranscriptFile, ...]]:
    """Find the transcripts of each source row in other datasets, in their order.

    Raises DatasetError.
    """
    files: dict[str, tuple[TranscriptFile, ...]] = {}
    for number, folder in enumerate(others, start=1):
        dataset = Dataset(folder)
        for key, named in dataset.transcript_files(dataset.recorded_versions(), number).items():
            files[key] = (*files.get(key, ()), *named)
    return files


def with_others(own: Files, others: Files) -> Files:
    """Join the transcripts of a dataset with those of others, its own first."""
    return {key: (*own.get(key, ()), *others.get(key, ())) for key in {**own, **others}}


def other_calls_words(others: Sequence[Folder], files: Files, keys: Collection[str]) -> str:
    """Say how many of a run's rows have calls in other datasets."""
    names = ", ".join(folder.uri for folder in others)
    known = sum(key in files for key in keys)
    if not known:
        return f"no row of the source has calls in {names}, so none can be reused"
    return (
        f"{count(known)} of {plural(len(keys), 'row')} have calls in {names}; those that ask the "
        "same are reused and not paid for again"
    )


def _place(folder: Folder) -> str:
    return str(Path(folder.uri).resolve()) if folder.local is not None else folder.uri
