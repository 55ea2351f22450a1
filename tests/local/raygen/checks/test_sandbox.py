"""Hostile programs: what each tries does nothing, and the sandbox says how it ended."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.checks.sandbox import ProgramJob, ProgramLimits, run_program

LIMITS = ProgramLimits(cpu_s=5, wall_s=60, memory=256 * 1024 * 1024, output_bytes=100_000)
SHORT = replace(LIMITS, cpu_s=1, wall_s=1)
WITHOUT_END = ("endless loop", "sleep", "closed output", "one huge number", "files without end")

REACHED = "REACHED"
"""What a program prints that got what it wanted."""

HOSTILE = {
    "fork bomb": "import os\nwhile True: os.fork(); print('REACHED')",
    "another program": "import subprocess\nprint(subprocess.run(['/bin/echo', 'REACHED']))",
    "a shell": "import os\nif os.system('echo REACHED') == 0: print('REACHED')",
    "replaced by a program": "import os\nos.execv('/bin/echo', ['echo', 'REACHED'])",
    "thread bomb": "import threading, time\n"
    "for _ in range(10_000): threading.Thread(target=time.sleep, args=(60,)).start()\n"
    "print('REACHED')",
    "endless output": "while True: print('x' * 1000)",
    "endless errors": "import sys\nwhile True: sys.stderr.write('x' * 1000)",
    "endless loop": "while True: pass",
    "sleep": "import time\ntime.sleep(600)",
    "closed output": "import os, time\nos.close(1); os.close(2)\ntime.sleep(600)",
    "memory": "x = []\nwhile True: x.append(bytearray(10_000_000))",
    "one huge number": "x = 9 ** 9 ** 9\nprint('REACHED')",
    "the home folder": "import os, sys\n"
    "names = [os.path.join({home!r}, name) for name in os.listdir({home!r})]\n"
    "if not all(sys.base_prefix.startswith(name) for name in names): print('REACHED', names)",
    "a secret file": "print('REACHED', open({secret!r}).read())",
    "a secret file by C": "import ctypes\nc = ctypes.CDLL(None)\n"
    "if c.open({secret!r}.encode(), 0) >= 0: print('REACHED')",
    "a link to a secret file": "import os\nos.symlink({secret!r}, 'link')\n"
    "print('REACHED', open('link').read())",
    "system files": "print('REACHED', open('/etc/passwd').read())",
    "the environment": "import os\nif {variable!r} in os.environ: print('REACHED')\n"
    "print('REACHED', open('/proc/self/environ').read())",
    "the parent's environment": "import os\n"
    "print('REACHED', open(f'/proc/{{os.getppid()}}/environ').read())",
    "a socket": "import socket\ns = socket.create_connection(('127.0.0.1', {port}), 1)\n"
    "print('REACHED')",
    "a socket by C": "import ctypes\nif ctypes.CDLL(None).socket(2, 1, 0) >= 0: print('REACHED')",
    "killing the parent": "import os\nos.kill(os.getppid(), 9)\nprint('REACHED')",
    "killing everybody": "import ctypes\nif ctypes.CDLL(None).kill(-1, 9) == 0: print('REACHED')",
    "killing the test": "import os\nos.kill({pid}, 9)\nprint('REACHED')",
    "looking into the test": "import ctypes\n"
    "if ctypes.CDLL(None).ptrace(16, {pid}, 0, 0) == 0: print('REACHED')",
    "a new session": "import os\nos.setsid()\nprint('REACHED')",
    "writing elsewhere": "open({target!r}, 'w').write('x')\nprint('REACHED')",
    "removing files": "import os\nos.remove({secret!r})\nprint('REACHED')",
    "a file without end": "with open('x', 'wb') as f:\n    while True: f.write(b'x' * 1_000_000)",
    "files without end": "n = 0\nwhile True:\n    open(f'f{{n}}', 'w').close(); n += 1",
    "another root": "import os\nos.chroot('.')\nprint('REACHED')",
    "mounting": "import ctypes\n"
    "if ctypes.CDLL(None).mount(b'none', b'/', b'tmpfs', 0, None) == 0: print('REACHED')",
    "new namespaces": "import ctypes\n"
    "if ctypes.CDLL(None).unshare(0x10000000) == 0: print('REACHED')",
    "higher limits": "import resource\nunlimited = resource.RLIM_INFINITY\n"
    "resource.setrlimit(resource.RLIMIT_AS, (unlimited, unlimited))\nprint('REACHED')",
    "crash": "import ctypes\nctypes.string_at(0)",
}  # fmt: skip


@pytest.fixture(scope="module")
def prey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """What the programs are after: a file, a variable, a listening port and this process."""
    folder = tmp_path_factory.mktemp("prey")
    secret = folder / "secret"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYGEN_TEST_KEY", "secret")
        yield {
            "home": str(Path.home()), "secret": str(secret), "target": str(folder / "made"),
            "variable": "RAYGEN_TEST_KEY", "port": server.getsockname()[1], "pid": os.getpid(),
        }  # fmt: skip
    assert secret.read_text() == "secret"
    assert sorted(path.name for path in folder.iterdir()) == ["secret"]


@pytest.mark.parametrize("namespaces", [True, False], ids=["namespaces", "Landlock"])
def test_a_hostile_program_reaches_nothing_and_ends(
    prey: dict[str, object], namespaces: bool
) -> None:
    before = threading.active_count()
    ends = {}
    for name, program in HOSTILE.items():
        if not namespaces and name in WITHOUT_END:
            continue  # ended by the same clock
        limits = SHORT if name in WITHOUT_END else LIMITS
        end = run_program(ProgramJob(program.format_map(prey)), limits, namespaces)
        ends[name] = end
        assert REACHED not in end.stdout + end.stderr, name
        assert len(end.stdout) + len(end.stderr) < 300_000, name
    assert ends["endless output"].ended_by == "output"
    if namespaces:
        assert {ends[name].ended_by for name in ("sleep", "closed output")} == {"time"}
    assert "MemoryError" in str(ends["memory"].report)
    assert threading.active_count() == before


def test_a_program_has_its_folder_its_input_and_the_standard_library() -> None:
    program = (
        "import json, math, os, re, threading\n"
        "open('mine', 'w').write('kept')\n"
        "thread = threading.Thread(target=print, args=(open('mine').read(),))\n"
        "thread.start(); thread.join()\n"
        "print(input(), os.listdir('.'), os.environ.get('PATH'))"
    )
    end = run_program(ProgramJob(program, stdin="line\n"), LIMITS)
    assert (end.ended_by, end.code, end.stdout) == ("itself", 0, "kept\nline ['mine'] None\n")


def test_each_program_starts_anew() -> None:
    run_program(ProgramJob("open('left', 'w').write('x')"), LIMITS)
    end = run_program(ProgramJob("import os; print(os.listdir('.'))"), LIMITS)
    assert end.stdout == "[]\n"


def test_the_difference_is_logged_where_namespaces_are_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from raygen.checks.sandbox import process

    process._say_fences.cache_clear()
    run_program(ProgramJob("pass"), LIMITS, namespaces=False)
    assert "without user namespaces" in caplog.text
