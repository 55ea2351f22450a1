"""One student trained with several seeds, to see how much of a result is chance.

A seed decides the initial values of added weights, the order of rows, which rationale of a question
comes when, and dropout. Knows nothing of Ray or of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from streamtrain.run.spec import CHECKPOINTS, RESULT, RunSpec, refuse_used_output


@dataclass(frozen=True, slots=True)
class SeededRun:
    """A run with its seed; `done` if an earlier call finished it."""

    seed: int
    job: RunSpec
    done: bool


def seeded_runs(job: RunSpec, count: int) -> list[SeededRun]:
    """Specify `count` runs with consecutive seeds, each in the folder seed-N of the output.

    With `resume`, finished runs are kept, interrupted ones continue, and the rest begin. Raises
    InputError if a folder is used and `resume` is not given.
    """
    jobs = []
    for seed in range(job.config.stream.seed, job.config.stream.seed + count):
        config = job.config.model_copy(
            update={"stream": job.config.stream.model_copy(update={"seed": seed})}
        )
        out = job.out / f"seed-{seed}"
        begun = (out / CHECKPOINTS).exists()
        seed_job = replace(job, config=config, out=out, resume=job.resume and begun)
        done = job.resume and (out / RESULT).exists()
        if not done:
            refuse_used_output(seed_job)
        jobs.append(SeededRun(seed, seed_job, done))
    return jobs


def accuracy_spread(results: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Compute the mean and standard deviation of the runs' accuracies; None if a run reported
    none."""
    scores = [result["after"]["accuracy"] for result in results if result["after"] is not None]
    if len(scores) < len(results):
        return None
    return {"mean": mean(scores), "deviation": stdev(scores)}
