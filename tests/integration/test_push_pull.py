"""A dataset on its way: made, pushed with its source, pulled elsewhere, and made there again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.dataset.reader import Dataset
from tests.integration.conftest import Project


def raygen(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_what_was_pulled_makes_the_same_dataset_again(project: Project, tmp_path: Path) -> None:
    project.write(12)
    made = project.apply()
    shelf, back = str(tmp_path / "shelf"), tmp_path / "back"
    raygen("push", str(project.out), shelf, "--source", str(project.folder / "source.jsonl"))
    said = raygen("pull", shelf, str(back))
    content = Dataset.open(str(project.out)).content_hash(made["plan"])
    assert f"its content is {content}" in said
    again = Project(back, project.address).apply()
    assert again["plan"] == made["plan"]
    assert Dataset.open(str(back / "out")).content_hash(made["plan"]) == content
