"""This process's output, interrupts and coroutines."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raygen.core.process import interrupts, redirected_output, run_coroutine


def test_children_write_to_the_log_and_the_terminal_comes_back(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from raygen.core import redirected_output\n"
        "print('before')\n"
        "with redirected_output(Path(sys.argv[1])):\n"
        "    print('inside')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"child\")'])\n"
        "print('after')\n"
    )
    log = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", program, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "before\nafter\n"
    assert sorted(log.read_text().split()) == ["child", "inside"]


def test_the_terminal_comes_back_after_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyError), redirected_output(tmp_path / "log"):
        raise KeyError("x")
    os.write(1, b"visible")
    assert capfd.readouterr().out == "visible"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interrupts() as handler:
        assert not handler.requested
        os.kill(os.getpid(), number)
        assert handler.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


async def _later(value: int) -> int:
    await asyncio.sleep(0)
    if value < 0:
        raise ValueError("negative")
    return value


def test_without_a_loop() -> None:
    assert run_coroutine(_later(3)) == 3


async def test_inside_a_running_loop() -> None:
    assert run_coroutine(_later(3)) == 3
    with pytest.raises(ValueError, match="negative"):
        run_coroutine(_later(-1))
