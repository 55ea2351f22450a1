"""What a finished run leaves, written and read back: the student's folder and result.json.

Knows nothing of how the run went on; it is told.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from streamtrain.config import StudentConfig
from streamtrain.data import dataset_facts
from streamtrain.errors import InputError
from streamtrain.evaluation import EVALUATIONS, Evaluation, read_records
from streamtrain.models import Student, load_adapter, load_student, model_source, save_final
from streamtrain.run import FINAL, RESULT, STUDENT, RunSpec
from streamtrain.training.card import model_card
from streamtrain.training.progress import TrainProgress

FORMAT_VERSION = 1

CARD = "README.md"


def write_outcome(
    job: RunSpec, student: Student, at: TrainProgress, after: Evaluation | None
) -> Path:
    """Write the student's folder, then result.json, each whole or not at all; returns the folder.

    Raises OSError.
    """
    target, temporary = job.out / FINAL, job.out / f".{FINAL}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    save_final(student, temporary)
    settings = job.config.model_dump(mode="json", exclude_unset=True)
    # What an evaluation needs of a configuration, with the model where it was found.
    (temporary / STUDENT).write_text(
        json.dumps({**settings, "model": job.model}, indent=1), encoding="utf-8"
    )
    result = {
        "version": FORMAT_VERSION,
        "student": job.config.student,
        "before": at.before,
        "after": after.to_json() if after else None,
        "data": job.data,
        "plan": at.cursor.plan,
        "selected": _selected(job, at),
        "steps": at.step,
        "rows": at.rows,
        "left_out": dict(at.left_out),
        "tokens": at.tokens,
        "cut": at.cut,
        "seconds": round(at.seconds, 3),
        "wait_s": round(at.wait_s, 3),
        "wait_share": _share(at.wait_s, at.seconds),
        "epochs": at.epoch,
        "tokens_per_second": _share(at.tokens, at.step_s),
        "flops_per_second": _share(at.flops, at.step_s),
        "utilisation": _share(at.flops, at.peak_flops),
        "first_step_time": at.first_step_time,
        "generation_ended_at_first_step": at.ended_at_first_step,
        "checkpoint": str(target),
    }
    (temporary / CARD).write_text(
        describe_student(job.out / EVALUATIONS, job.config, result), encoding="utf-8"
    )
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    draft = job.out / f".{RESULT}.tmp"
    draft.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draft.replace(job.out / RESULT)
    return target


def describe_student(
    evaluations: Path, config: StudentConfig, result: Mapping[str, Any], merged: bool = False
) -> str:
    """The model card of a student with this result, and with evaluations in this folder; `merged`
    says that its adapter became a part of the model."""
    plan = result.get("plan")
    facts = dataset_facts(result["data"], plan) if plan else None
    return model_card(config, result, read_records(evaluations), facts, merged)


def find_student(folder: Path) -> tuple[Path, StudentConfig]:
    """The folder that `write_outcome` wrote, which may be the run's output around it, and its
    settings. Raises InputError where there is none."""
    found = folder / FINAL if (folder / FINAL / STUDENT).exists() else folder
    if not holds_student(folder):
        raise InputError(
            f"{folder} holds no student: expected {STUDENT} there or in {FINAL}/, as "
            "`streamtrain fit` writes them when a run ends"
        )
    return found, StudentConfig.model_validate_json((found / STUDENT).read_text(encoding="utf-8"))


def holds_student(folder: Path) -> bool:
    """Whether `find_student` finds one."""
    return any((place / STUDENT).exists() for place in (folder, folder / FINAL))


def read_outcome(folder: Path, device: torch.device) -> tuple[Student, StudentConfig]:
    """The student that `find_student` finds, loaded. Raises InputError where there is none."""
    found, config = find_student(folder)
    if config.tune.method == "lora":
        return load_adapter(model_source(config), found, device), config
    source = replace(model_source(config), model=str(found), revision=None)
    return load_student(source, None, device), config


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _selected(job: RunSpec, at: TrainProgress) -> dict[str, Any] | None:
    if at.selection.best is None:
        return None
    return {"step": at.selection.step, "accuracy": at.selection.best, "set": str(job.select)}
