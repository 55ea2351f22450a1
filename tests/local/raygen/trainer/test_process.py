"""The trainer subprocess, with a scripted stand-in for streamtrain."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from raygen.core.errors import UserError
from raygen.trainer import process as trainer_module
from raygen.trainer.metrics import Accuracy, TrainerState
from raygen.trainer.process import Trainer, TrainJob, check_student
from tests.support.trainer_events import EVENTS, lines


def job(tmp_path: Path, **changes: Any) -> TrainJob:
    values = {"config": tmp_path / "student.yaml", "data": "out/data", "out": tmp_path / "student"}
    return TrainJob(**{**values, "log": tmp_path / "logs" / "trainer.log", **changes})


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes streamtrain a Python script with the given body; `metrics` is its metrics file."""
    (tmp_path / "student").mkdir()

    def script(body: str) -> None:
        path = tmp_path / "stand_in.py"
        path.write_text(
            "import sys, time, json, pathlib\n"
            f"metrics = pathlib.Path({str(tmp_path / 'student' / 'metrics.jsonl')!r})\n" + body
        )
        monkeypatch.setattr(trainer_module, "_FIT", (sys.executable, str(path)))

    return script


def test_command_names_everything(tmp_path: Path) -> None:
    named = job(tmp_path, section="train", base=tmp_path, overrides=("workers=2",), most=6)
    assert "--resume" not in named.command()
    (tmp_path / "student" / "checkpoints").mkdir(parents=True)
    words = named.command()
    assert words[:5] == [sys.executable, "-P", "-m", "streamtrain.cli", "fit"]
    assert words[5:] == [
        str(tmp_path / "student.yaml"), "--section", "train", "--base", str(tmp_path),
        "--data", "out/data", "--out", str(tmp_path / "student"), "--follow",
        "--set", "workers=2", "--grow", "6", "--resume",
    ]  # fmt: skip


def test_a_whole_run(scripted: Any, tmp_path: Path) -> None:
    scripted(f"print('hello')\nmetrics.write_text({lines(EVENTS)!r})\n")
    state = Trainer(job(tmp_path)).wait()
    assert state == TrainerState(
        phase="finished",
        step=1,
        loss=2.5,
        tokens_per_second=240.0,
        wait_s=4.0,
        rows=8,
        before=Accuracy(12, 48),
        after=Accuracy(24, 48, 2),
        first_step=9.5,
        trained_while_generating=True,
        checkpoint="out/student/checkpoint-1",
        finished=True,
    )
    assert (tmp_path / "logs" / "trainer.log").read_text() == "hello\n"


def test_a_crash_is_reported_with_the_end_of_its_log(scripted: Any, tmp_path: Path) -> None:
    scripted("print('first'); sys.exit('disk is full')\n")
    state = Trainer(job(tmp_path)).wait()
    assert state.finished
    assert state.phase == "failed"
    assert state.error is not None
    assert "exit code 1: disk is full" in state.error
    assert "trainer.log" in state.error


def test_an_error_event_is_the_message(scripted: Any, tmp_path: Path) -> None:
    scripted("""metrics.write_text('{"event": "error", "message": "no rows"}\\n'); sys.exit(1)""")
    assert Trainer(job(tmp_path)).wait().error == "no rows"


def test_poll_while_it_runs_then_stop(scripted: Any, tmp_path: Path) -> None:
    scripted("time.sleep(600)\n")
    trainer = Trainer(job(tmp_path))
    assert trainer.poll() == trainer.wait(0.01) == TrainerState()
    state = trainer.stop()
    assert (state.phase, state.finished, state.error) == ("stopped", True, None)
    assert trainer.stop() == state


def test_a_trainer_that_ignores_sigterm_is_killed(scripted: Any, tmp_path: Path) -> None:
    scripted(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'metrics.write_text(\'{"event": "start"}\\n\')\ntime.sleep(600)\n'
    )
    trainer = Trainer(job(tmp_path))
    while trainer.wait(0.02).phase != "loading the student":
        pass
    assert trainer.stop(grace_s=0.1).phase == "stopped"


KILLED = """
import os, signal
here = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])
starts = len(list(here.glob('start-*')))
(here / f'start-{starts}').write_text(' '.join(sys.argv))
def event(**fields):
    with metrics.open('a') as file:
        file.write(json.dumps(fields) + '\\n')
event(event='start')
if starts in SAVES:
    (here / 'checkpoints').mkdir(exist_ok=True)
    event(event='checkpoint', path='c', step=starts)
if starts < DEATHS:
    os.kill(os.getpid(), signal.SIGKILL)
event(event='end', reason='end', step=9)
"""


def killed(deaths: int, saves: tuple[int, ...]) -> str:
    return KILLED.replace("DEATHS", str(deaths)).replace("SAVES", repr(saves))


def test_one_that_is_killed_comes_back_and_goes_on(scripted: Any, tmp_path: Path) -> None:
    scripted(killed(deaths=2, saves=(1,)))
    state = Trainer(job(tmp_path)).wait()
    assert (state.phase, state.step, state.error) == ("finished", 9, None)
    starts = [(tmp_path / "student" / f"start-{n}").read_text() for n in range(3)]
    assert ["--resume" in words for words in starts] == [False, False, True]


def test_one_that_is_killed_without_getting_any_further_is_given_up(
    scripted: Any, tmp_path: Path
) -> None:
    scripted(killed(deaths=9, saves=(0, 1)))
    state = Trainer(job(tmp_path)).wait()
    assert (state.phase, state.finished) == ("failed", True)
    assert "streamtrain was killed by signal 9" in str(state.error)
    assert len(list((tmp_path / "student").glob("start-*"))) == 4, "two that saved, two in vain"


def test_one_that_is_stopped_does_not_come_back(scripted: Any, tmp_path: Path) -> None:
    scripted(killed(deaths=9, saves=()))
    trainer = Trainer(job(tmp_path))
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    assert trainer.stop().phase == "failed", "it was dead already, which stopping doesn't hide"
    assert trainer.wait().phase == "failed"
    assert len(list((tmp_path / "student").glob("start-*"))) == 1


def test_check_returns_problems_with_their_paths(scripted: Any, tmp_path: Path) -> None:
    scripted(
        "assert sys.argv[-3:] == ['--check', '--follow', '--json'], sys.argv\n"
        "print(json.dumps({'problems': [{'path': ['optim', 'lr'], 'message': 'is \\'x\\''}]}))\n"
        "sys.exit(2)\n"
    )
    assert check_student(tmp_path / "s.yaml", "train", None) == [(("optim", "lr"), "is 'x'")]


def test_check_says_when_streamtrain_does_not_answer(scripted: Any, tmp_path: Path) -> None:
    scripted("sys.exit('No module named streamtrain')\n")
    with pytest.raises(UserError, match="No module named streamtrain"):
        check_student(tmp_path / "s.yaml", None, None)
