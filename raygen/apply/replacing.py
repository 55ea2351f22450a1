"""Delete what was made of a dataset's old rows once the first new ones are committed.

Students and the card stay as long as the rows that they were made of. A mark in the dataset names
the run that is about to replace them, so that the next start can finish what a kill left undone.
Knows nothing of how rows are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raygen.dataset import ROWS, Folder, last_record, newest_version, storage_errors
from raygen.share import discard_card
from raygen.trainer import Training, discard_students

MARK = "control/replacing"


def begin_replacing(folder: Folder, run_id: str) -> None:
    """Mark that the first rows of a run will replace all others. Raises DatasetError."""
    with storage_errors("write the mark of a replacement", folder.join(MARK)):
        folder.write_text(MARK, run_id)


def end_replacing(folder: Folder, training: Training | None) -> None:
    """Delete the card and the students of rows that are replaced now. Raises DatasetError."""
    discard_students(folder, training)
    discard_card(folder)
    _unmark(folder)


def end_earlier_replacing(folder: Folder, training: Training | None) -> None:
    """Finish the replacement that an earlier run was killed in. Raises DatasetError.

    Where that run committed no row, the old rows are still there, and nothing is deleted.
    """
    with storage_errors("read the mark of a replacement", folder.join(MARK)):
        try:
            run_id = folder.read_text(MARK)
        except FileNotFoundError:
            return
    entry = last_record(folder, newest_version(folder, ROWS), "rows")
    if entry is not None and entry.record is not None and entry.record["run"] == run_id:
        end_replacing(folder, training)
    else:
        _unmark(folder)


def replaced_words(students: Sequence[Path]) -> str:
    """List what is deleted with all rows of a dataset, for the question to the user."""
    if not students:
        return "all of them"
    kind = "student" if len(students) == 1 else "students"
    return f"all of them, and the {kind} trained on them ({', '.join(map(str, students))})"


def _unmark(folder: Folder) -> None:
    with storage_errors("delete the mark of a replacement", folder.join(MARK)):
        folder.delete(MARK)
