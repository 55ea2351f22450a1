"""Work in a child process: what comes back, and which limit ends what."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raygen.core import ProblemsError, UserError
from raygen.core.limited import LimitedProcess, LimitError, Limits, run_limited
from tests.support import limited_work as work

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("writable")


@pytest.fixture(scope="module")
def child(folder: Path) -> Iterator[LimitedProcess]:
    """One child for all that doesn't end it."""
    limits = Limits(
        memory=200 * MIB, file_bytes=MIB, open_files=20, new_files=30, writable=(folder,)
    )
    with LimitedProcess("reading r.yaml", limits, {"SHOWN": "1"}) as process:
        yield process


def test_values_come_back(child: LimitedProcess, tmp_path: Path) -> None:
    assert child.call(work.add, 1, b=2) == 3
    assert child.call(work.found, tmp_path) == work.Found(tmp_path, ("a", "b"))


def test_what_the_work_prints_is_no_answer(child: LimitedProcess) -> None:
    assert child.call(work.print_and_return) == 3


def test_errors_come_back_as_they_are(child: LimitedProcess) -> None:
    with pytest.raises(ProblemsError) as problems:
        child.call(work.report, "problems")
    assert [problem.line for problem in problems.value.problems] == [1, 2]
    assert str(problems.value) == "r.yaml:1:1: too\nr.yaml:2:3: wrong"
    with pytest.raises(UserError, match="say so") as told:
        child.call(work.report, "user")
    assert told.value.exit_code == 3
    with pytest.raises(LookupError, match="not there"):
        child.call(work.report, "other")


def test_memory_is_limited_and_the_child_goes_on(child: LimitedProcess) -> None:
    assert child.call(work.take_memory, 100) == 100 * MIB
    with pytest.raises(LimitError, match=r"reading r\.yaml needs more than 200 MiB") as error:
        child.call(work.take_memory, 300)
    assert error.value.limit == "memory"
    assert child.call(work.add, 1) == 2


def test_files_are_limited(child: LimitedProcess, folder: Path, tmp_path: Path) -> None:
    assert child.call(work.write, folder / "fits", MIB) == MIB
    with pytest.raises(LimitError, match="1 MiB") as error:
        child.call(work.write, folder / "large", 2 * MIB)
    assert error.value.limit == "file"
    with pytest.raises(LimitError):
        child.call(work.hold_files, folder / "fits", 30)
    with pytest.raises(PermissionError):
        child.call(work.write, tmp_path / "elsewhere", 1)
    with pytest.raises(LimitError):
        child.call(work.make_files, folder, 40)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="these fences are Linux's")
def test_the_kernel_holds_what_python_does_not_see(child: LimitedProcess, tmp_path: Path) -> None:
    assert child.call(work.write_in_c, tmp_path / "elsewhere") == -1
    assert child.call(work.connect_in_c) == -1
    with pytest.raises(PermissionError):
        child.call(work.run_program)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="these fences are Linux's")
def test_threads_may_be_started_and_no_process(child: LimitedProcess) -> None:
    assert child.call(work.run_threads) == [4, 3, 2, 1]
    with pytest.raises(PermissionError):
        child.call(work.fork)
    assert child.call(work.fork_in_c) == -1


def test_the_network_is_closed_unless_allowed(child: LimitedProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PermissionError):
            child.call(work.connect, port)
        run_limited(work.connect, port, subject="asking", limits=Limits(network=True))


def test_no_variable_is_passed_on_unnamed(
    child: LimitedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = child.call(work.show_environment)
    assert seen["SHOWN"] == "1"
    assert "PYTEST_CURRENT_TEST" not in seen


def test_a_forged_answer_calls_nothing(child: LimitedProcess, tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        child.call(work.forge, tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("function", "args", "limits", "limit"),
    [
        (work.loop, (), Limits(cpu_s=0.2), "cpu"),
        (work.power, (), Limits(cpu_s=0.2), "cpu"),
        (work.sleep, (), Limits(wall_s=2), "time"),
        (work.die, (), Limits(), "crash"),
        (work.give, (3,), Limits(result_bytes=2 * MIB), "result"),
    ],
)
def test_a_limit_ends_the_child(
    function: Callable[..., Any], args: tuple[Any, ...], limits: Limits, limit: str
) -> None:
    with LimitedProcess("reading r.yaml", limits) as process:
        with pytest.raises(LimitError, match=r"reading r\.yaml ") as error:
            process.call(function, *args)
        assert error.value.limit == limit
        assert process.call(work.add, 1) == 2


def test_ctrl_c_ends_the_child(tmp_path: Path) -> None:
    started, ended = tmp_path / "pid", threading.Event()

    def interrupt() -> None:
        while not started.exists() or not started.read_text():
            time.sleep(0.01)
        # Again after a while: an exception that a signal raises in a finalizer is lost.
        while not ended.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            ended.wait(5)

    thread = threading.Thread(target=interrupt)
    thread.start()
    limits = Limits(writable=(tmp_path,), cpu_s=120, wall_s=120)
    with pytest.raises(KeyboardInterrupt):
        run_limited(work.note_and_loop, started, subject="looping", limits=limits)
    ended.set()
    thread.join()
    assert not (Path("/proc") / started.read_text()).exists()
