"""A finished student for others: a folder with its adapter or the merged model, and a hub upload.

Knows nothing of how the student was trained or how good it is.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from raygen.core import HubError, Repository, visible_line
from raygen.engines import EngineSetupError
from raygen.engines.models import adapter_base
from streamtrain.errors import InputError
from streamtrain.evaluation import evaluations_folder
from streamtrain.models import save_final
from streamtrain.run import RESULT, STUDENT, read_result
from streamtrain.training import CARD, describe_student, find_student, read_outcome

_SHOWN = 5


def export_student(checkpoint: Path, target: Path, merge: bool) -> Path:
    """Write the student of a run, with its model card, to the new folder `target`.

    `merge` merges the adapter into its model. Raises InputError if there is no finished run, the
    target exists, or there is nothing to merge.
    """
    student_folder, config = find_student(checkpoint)
    if not (student_folder.parent / RESULT).exists():
        raise InputError(
            f"{checkpoint} is no finished run: expected {RESULT} beside {student_folder.name}/"
        )
    if os.path.lexists(target):
        raise InputError(f"{target} is there already; give another folder with --out")
    if merge and config.tune.method == "full":
        raise InputError(f"{checkpoint} has no adapter to merge; leave out --merge")
    _refuse_links(student_folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        draft = Path(temporary) / target.name
        if merge:
            student, _ = read_outcome(checkpoint, torch.device("cpu"))
            merged = replace(student, model=student.model.merge_and_unload(), adapter=False)
            save_final(merged, draft)
            settings = config.model_dump(mode="json", exclude_unset=True)
            (draft / STUDENT).write_text(
                json.dumps({**settings, "tune": {"method": "full"}}, indent=1), encoding="utf-8"
            )
        else:
            shutil.copytree(student_folder, draft)
        result = read_result(student_folder.parent)
        card = describe_student(evaluations_folder(student_folder), config, result, merge)
        (draft / CARD).write_text(card, encoding="utf-8")
        draft.rename(target)
    return target


def check_pushable(folder: Path) -> None:
    """Raise InputError for an adapter whose base model is a folder of this machine, since nobody
    else could load it."""
    try:
        base = adapter_base(folder)
    except EngineSetupError as error:
        raise InputError(str(error)) from error
    if base is not None and Path(base.model).is_absolute():
        raise InputError(
            f"the adapter's base model is a folder of this machine ({base.model}), so nobody else "
            "could load it; push it merged, with --merge"
        )


def check_repository(repository: str) -> None:
    """Raise InputError for a model repository `owner/name` of the hub that is neither new, nor
    empty, nor a student that was pushed before: a push replaces its files."""
    try:
        files = set(Repository(repository, "model").files()) - {".gitattributes"}
    except HubError as error:
        raise InputError(str(error)) from error
    if files and not {STUDENT, CARD} <= files:
        shown = ", ".join(map(visible_line, sorted(files)[:_SHOWN]))
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        raise InputError(
            f"{repository} holds other files ({shown}{more}); expected a repository that is new or "
            "empty, or that holds a student of streamtrain. Name another one (--push); nothing was "
            "pushed"
        )


def push_folder(folder: Path, repository: str, private: bool) -> str:
    """Upload a folder to the model repository `owner/name`, created if needed; returns the commit's
    URL.

    Raises InputError if the hub refuses or can't be reached, or the repository holds other files.
    """
    student = Repository(repository, "model")
    try:
        student.make(private)
        check_repository(repository)
        return student.upload(folder, "A student of streamtrain")
    except HubError as error:
        raise InputError(
            f"{error}. The student is in {folder}: run `hf upload`, or export it again"
        ) from error


def _refuse_links(folder: Path) -> None:
    """Raise InputError where the student has a file that lies elsewhere: others would get it."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise InputError(
                f"{path} is a link to {path.readlink()}, whose target isn't the student's; put the "
                "file itself there, or take the link away"
            )
