"""The outcome of a run: the student's folder and result.json, written and read.

Knows nothing of how the run went.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raygen.core import DamagedFileError, first_line, read_json_object
from streamtrain.config import StudentConfig
from streamtrain.data import dataset_facts
from streamtrain.errors import InputError
from streamtrain.evaluation import EVALUATIONS, Evaluation, read_records
from streamtrain.models import Student, load_adapter, load_student, model_source, save_final
from streamtrain.run import FINAL, RESULT, STUDENT, RunSpec
from streamtrain.training import durable
from streamtrain.training.card import model_card
from streamtrain.training.progress import TrainProgress

FORMAT_VERSION = 1

CARD = "README.md"


def write_outcome(
    job: RunSpec, student: Student, progress: TrainProgress, after: Evaluation | None
) -> Path:
    """Write the student's folder and then result.json, each atomically; returns the folder.

    An earlier student stays until the new one has its name. Raises OSError.
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
        "before": progress.before,
        "after": after.to_json() if after else None,
        "data": job.data,
        "plan": progress.cursor.plan,
        "selected": _selected(job, progress),
        "steps": progress.step,
        "rows": progress.rows,
        "left_out": dict(progress.left_out),
        "tokens": progress.tokens,
        "cut": progress.cut,
        "seconds": round(progress.seconds, 3),
        "wait_s": round(progress.wait_s, 3),
        "wait_share": _share(progress.wait_s, progress.seconds),
        "epochs": progress.epoch,
        "tokens_per_second": _share(progress.tokens, progress.step_s),
        "flops_per_second": _share(progress.flops, progress.step_s),
        "utilisation": _share(progress.flops, progress.peak_flops),
        "first_step_time": progress.first_step_time,
        "generation_ended_at_first_step": progress.ended_at_first_step,
        "checkpoint": str(target),
    }
    (temporary / CARD).write_text(
        describe_student(job.out / EVALUATIONS, job.config, result), encoding="utf-8"
    )
    durable.replace_folder(temporary, target)
    durable.write_text(job.out / RESULT, json.dumps(result, indent=1) + "\n")
    return target


def describe_student(
    evaluations: Path, config: StudentConfig, result: Mapping[str, Any], merged: bool = False
) -> str:
    """Write the model card of a student.

    `evaluations` is the folder of its evaluations, `config` its settings, `result` the content of
    result.json; `merged` if its adapter was merged into the model. Raises InputError if an
    evaluation can't be read.
    """
    plan = result.get("plan")
    facts = dataset_facts(result["data"], plan) if plan else None
    return model_card(config, result, read_records(evaluations), facts, merged)


def find_student(folder: Path) -> tuple[Path, StudentConfig]:
    """Find the folder that `write_outcome` wrote, and read its settings.

    `folder` is that folder, or the run's output around it. Where a kill has left the student that
    was being replaced under its hidden name alone, it is found there. Raises InputError where
    there is no student.
    """
    student_folder = next(filter(_has_settings, _candidates(folder)), None)
    if student_folder is None:
        raise InputError(
            f"{folder} holds no student: expected {STUDENT} there or in {FINAL}/, as "
            "`streamtrain fit` writes them when a run ends"
        )
    try:
        settings = read_json_object(student_folder / STUDENT, "a student's settings")
        return student_folder, StudentConfig.model_validate(settings)
    except (OSError, DamagedFileError, ValueError) as error:
        raise InputError(
            f"{student_folder / STUDENT} can't be read as a student's settings: "
            f"{first_line(error)}; expected what `streamtrain fit` writes when a run ends"
        ) from error


def holds_student(folder: Path) -> bool:
    """Tell whether `find_student` finds one."""
    return any(map(_has_settings, _candidates(folder)))


def _candidates(folder: Path) -> tuple[Path, ...]:
    """List the folders that a student may be in, the best one first."""
    final = folder / FINAL
    named = (durable.replaced(folder),) if folder.name == FINAL else ()
    return (final, durable.replaced(final), folder, *named)


def _has_settings(folder: Path) -> bool:
    return (folder / STUDENT).exists()


def read_outcome(folder: Path, device: torch.device) -> tuple[Student, StudentConfig]:
    """Load the student that `find_student` finds. Raises InputError if there is none."""
    student_folder, config = find_student(folder)
    if config.tune.method == "lora":
        return load_adapter(model_source(config), student_folder, device), config
    source = replace(model_source(config), model=str(student_folder), revision=None)
    return load_student(source, None, device), config


def _share(part: float, total: float) -> float | None:
    return part / total if total else None


def _selected(job: RunSpec, progress: TrainProgress) -> dict[str, Any] | None:
    if progress.selection.best is None:
        return None
    return {
        "step": progress.selection.step,
        "accuracy": progress.selection.best,
        "set": str(job.select),
    }
