"""What this process and its children print goes to the log, and the terminal comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raygen.core.output_redirect import redirected_output


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
