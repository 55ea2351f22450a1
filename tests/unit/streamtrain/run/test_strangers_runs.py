"""The folder of a run of somebody else's, given to `fit --resume`: no link in it is written to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.core import UserError
from streamtrain.cli.main import main
from streamtrain.data.cursor import Decisions
from streamtrain.errors import InputError
from streamtrain.run.loggers import _runs

DEEP = '{"a":' * 100_000


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that can be resumed, as far as its folder goes."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "owner").write_text("0123456789ab")
    (folder / "final").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / "s.yaml").write_text("student: s\nversion: 1\nmodel: o/m\n")
    return folder


@pytest.mark.parametrize("seeds", [(), ("--seeds", "2")])
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("checkpoints/step-00000001", "mine"),
        ("checkpoints/latest", "mine/file"),
        ("metrics.jsonl", "mine/file"),
        (".decisions.jsonl.tmp", "mine/file"),
        ("loggers.tmp", "mine/new"),
        ("final/student.json", "mine/file"),
        (".final.tmp", "mine"),
        ("best", "mine"),
        ("stop", "mine/file"),
    ],
)
def test_no_link_in_a_run_is_followed(
    run: Path, tmp_path: Path, name: str, target: str, seeds: tuple[str, ...]
) -> None:
    folder = run.rename(tmp_path / "seed-0") if seeds else run
    (folder / name).symlink_to(tmp_path / target)
    out = tmp_path if seeds else folder
    arguments = ["fit", str(tmp_path / "s.yaml"), "--data", str(tmp_path / "d"), "--resume", *seeds]
    done = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert done.exit_code == 2, done.output
    assert f"{folder / name} is a link" in done.output
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"file"}
    assert (tmp_path / "mine" / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "line",
    [DEEP, "[]", "null", "{}", '{"step": "1", "known": 2, "ended": true}', '{"step": 1e999}',
     '{"step": 1, "known": 2, "ended": true, "more": 1}'],
)  # fmt: skip
def test_a_log_of_decisions_that_is_none_is_one_error(tmp_path: Path, line: str) -> None:
    (tmp_path / "decisions.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"decisions\.jsonl:1.*expected a decision of the run"):
        Decisions(tmp_path / "decisions.jsonl", resume=True)


@pytest.mark.parametrize("runs", [DEEP, "[]", '{"wandb": 3}', '{"mlflow": "../../x"}'])
def test_the_runs_of_loggers_are_ids(tmp_path: Path, runs: str) -> None:
    (tmp_path / "loggers.json").write_text(runs)
    with pytest.raises((InputError, UserError), match=r"loggers\.json.*expected the runs"):
        _runs(tmp_path)
    (tmp_path / "loggers.json").write_text(json.dumps({"wandb": "3fk2_x-9"}))
    assert _runs(tmp_path) == {"wandb": "3fk2_x-9"}
