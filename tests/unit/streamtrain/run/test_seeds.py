"""One student with several seeds: a folder each, and what stays when a call is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamtrain.config.student import StudentConfig
from streamtrain.errors import InputError
from streamtrain.run.seeds import accuracy_spread, seeded_runs
from streamtrain.run.spec import CHECKPOINTS, RESULT, RunSpec


def job(out: Path, resume: bool = False) -> RunSpec:
    config = StudentConfig.model_validate(
        {"student": "s", "version": 1, "model": "m", "stream": {"seed": 4}}
    )
    return RunSpec(config, "m", "data", out, None, resume=resume)


def test_every_seed_has_a_folder_and_nothing_else_of_the_student_changes(tmp_path: Path) -> None:
    jobs = seeded_runs(job(tmp_path), 3)
    assert [one.seed for one in jobs] == [4, 5, 6]
    assert [one.job.config.stream.seed for one in jobs] == [4, 5, 6]
    assert [one.job.out.name for one in jobs] == ["seed-4", "seed-5", "seed-6"]
    assert {one.job.config.model_dump_json(exclude={"stream"}) for one in jobs} == {
        job(tmp_path).config.model_dump_json(exclude={"stream"})
    }
    assert not any(one.done or one.job.resume for one in jobs)


def test_a_resumed_call_keeps_what_is_done_goes_on_and_begins_the_rest(tmp_path: Path) -> None:
    (tmp_path / "seed-4" / CHECKPOINTS).mkdir(parents=True)
    (tmp_path / "seed-4" / RESULT).write_text("{}")
    (tmp_path / "seed-5" / CHECKPOINTS).mkdir(parents=True)
    for name in ("seed-4", "seed-5"):
        (tmp_path / name / "owner").write_text("0123456789ab")
    jobs = seeded_runs(job(tmp_path, resume=True), 3)
    assert [one.done for one in jobs] == [True, False, False]
    assert [one.job.resume for one in jobs[1:]] == [True, False]
    with pytest.raises(InputError, match="seed-4 already holds a run"):
        seeded_runs(job(tmp_path), 3)


def test_the_spread_is_mean_and_sample_deviation() -> None:
    results = [{"after": {"accuracy": score}} for score in (0.5, 0.7)]
    assert accuracy_spread(results) == {
        "mean": pytest.approx(0.6),
        "deviation": pytest.approx(0.02**0.5),
    }
    assert accuracy_spread([*results, {"after": None}]) is None
