"""What a finished run leaves: the student's folder and result.json.

Knows nothing of how the run went on; it is told.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from streamtrain.checkpoint import Progress
from streamtrain.evaluate import Evaluation
from streamtrain.job import FINAL, RESULT, STUDENT, Job
from streamtrain.student import Student, save_final

FORMAT_VERSION = 1


def write_outcome(job: Job, student: Student, at: Progress, after: Evaluation | None) -> Path:
    """Write the student's folder, then result.json, each whole or not at all; returns the folder.

    Raises OSError.
    """
    target, temporary = job.out / FINAL, job.out / f".{FINAL}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    save_final(student, temporary)
    settings = job.config.model_dump(mode="json", exclude_unset=True)
    (temporary / STUDENT).write_text(
        json.dumps({**settings, "model": job.model}, indent=1), encoding="utf-8"
    )
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    result = {
        "version": FORMAT_VERSION,
        "student": job.config.student,
        "before": at.before,
        "after": after.to_json() if after else None,
        "steps": at.step,
        "rows": at.rows,
        "tokens": at.tokens,
        "cut": at.cut,
        "seconds": round(at.seconds, 3),
        "wait_s": round(at.wait_s, 3),
        "first_step_time": at.first_step_time,
        "generation_ended_at_first_step": at.ended_at_first_step,
        "checkpoint": str(target),
    }
    draft = job.out / f".{RESULT}.tmp"
    draft.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draft.replace(job.out / RESULT)
    return target
