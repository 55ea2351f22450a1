"""One student several times, each with a seed of its own: how much of a result is chance.

A seed decides the weights that training adds, the order of rows, which rationale of a question
comes when, and dropout. Knows nothing of Ray or of how a run goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from streamtrain.run.spec import CHECKPOINTS, RESULT, RunSpec, refuse_used_output


@dataclass(frozen=True, slots=True)
class SeededRun:
    """A run with its seed; `done` says that an earlier call finished it."""

    seed: int
    job: RunSpec
    done: bool


def seeded_runs(job: RunSpec, count: int) -> list[SeededRun]:
    """The run `count` times, from its own seed on, each in a folder of its own in the output.

    With `resume` finished runs stay as they are, one that was broken off goes on, and the rest
    begin. Raises InputError where a folder is used and `resume` is not asked for.
    """
    jobs = []
    for seed in range(job.config.stream.seed, job.config.stream.seed + count):
        config = job.config.model_copy(
            update={"stream": job.config.stream.model_copy(update={"seed": seed})}
        )
        out = job.out / f"seed-{seed}"
        begun = (out / CHECKPOINTS).exists()
        one = replace(job, config=config, out=out, resume=job.resume and begun)
        done = job.resume and (out / RESULT).exists()
        if not done:
            refuse_used_output(one)
        jobs.append(SeededRun(seed, one, done))
    return jobs


def accuracy_spread(results: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Mean and standard deviation of the runs' accuracies; None where nothing was reported."""
    scores = [one["after"]["accuracy"] for one in results if one["after"] is not None]
    if len(scores) < len(results):
        return None
    return {"mean": mean(scores), "deviation": stdev(scores)}
