"""The driver is killed while vLLM answers; the next `apply` makes what an undisturbed one makes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.integration.conftest import Project, kill
from tests.integration.test_faults_driver import nothing_is_left_over

ROWS = 60
SAME = ["id", "key", "node", "said"]


def write(project: Project, model: Path) -> list[str]:
    """A run of greedy answers, few at a time; returns the words of it."""
    args = {"max_num_seqs": 4, "max_model_len": 512}
    said = {"op": "generate", "from": "source", "engine": "tiny", "prompt": "{{ question }}",
            "into": "said", "max_tokens": 200, "temperature": 0.0, "truncated": "keep"}  # fmt: skip
    project.write(
        ROWS,
        engines={"tiny": {"model": str(model), "args": args}},
        graph={"said": said},
        output={"from": "said", "path": "out"},
    )
    profile = project.folder / "few.yaml"
    profile.write_text("profile: few\nconcurrency: 4\n")
    return ["--profile", str(profile)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_driver_that_is_killed_while_vllm_answers_loses_and_repeats_nothing(
    project: Project, tiny_model: Path
) -> None:
    """Once before the engine is up, and twice while it answers."""
    undisturbed = Project(project.folder / "undisturbed", project.address)
    undisturbed.folder.mkdir()
    undisturbed.apply(*write(undisturbed, tiny_model))
    words, chance, done = write(project, tiny_model), random.Random(0), 0
    for least in (0, 1, 2):
        process = project.start(*words)
        at = done + least * chance.randrange(1, 10)
        project.wait_for(
            lambda at=at: (project.out / "plan.json").exists() and len(project.ledger()) >= at,  # type: ignore[misc]
            process,
        )
        kill(process)
        status = project.status()
        done = ROWS - status["pending"]
        assert status["failed"] == 0
        assert at <= done < ROWS
    summary = project.apply(*words)
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert project.examples().select(SAME).equals(undisturbed.examples().select(SAME))
    nothing_is_left_over(project)
