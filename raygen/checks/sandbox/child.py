"""The sandbox's own side: fences this process in, then runs the program and its tests.

Runs as `python -S -c`, so it imports little. Knows nothing of which outcome is right.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygen.checks.sandbox.calls import fence_calls
from raygen.checks.sandbox.namespaces import (
    WORK,
    drop_capabilities,
    enter_namespaces,
    enter_root,
)
from raygen.core.limited import fence_files

UNFENCED = 97
"""The exit code of a child that can't fence itself in."""
_DEATH_SIGNAL = 1
_LONGEST_REASON = 300


def main(report: int) -> None:
    """Run the job of standard input; write what its tests gave to descriptor `report`."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    fenced = _fence(job, report)
    if fenced is None:
        os._exit(UNFENCED)
    nonce = job.pop("nonce")
    outcome = _run(job)
    sys.stdout.flush()
    line = json.dumps({"nonce": nonce, "fences": fenced, **outcome})
    os.write(report, line.encode())
    os._exit(0 if outcome["error"] is None else 1)


def _fence(job: Mapping[str, Any], report: int) -> list[str] | None:
    """Fence this process in; return the names of its fences, None where they don't hold.

    With namespaces a child goes on, and the process that was there waits for it.
    """
    _feed(job["stdin"])
    readable = _libraries()
    fences = ["limits", "calls"]
    spaces = job["namespaces"] and enter_namespaces()
    if spaces:
        _go_on_in_child()
        try:
            enter_root(Path(job["root"]), readable, job["work_bytes"])
        except OSError as error:
            os.write(2, f"no root of its own: {error}\n".encode())
            return None
        fences.append("namespaces")
    os.closerange(3, report)
    os.closerange(report + 1, 4096)
    sys.path[:] = [str(path) for path in _standard_library()]
    _limit(job)
    if spaces and not drop_capabilities():
        return None
    held = fence_files((WORK,), (Path("/"),)) if spaces else fence_files((), readable)
    if held:
        fences.append("files")
    if not (held or spaces) or not fence_calls():
        return None
    return fences


def _go_on_in_child() -> None:
    """Go on as the first process of a new process namespace; the old one waits, and ends as it."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os._exit(code if code >= 0 else 128 - code)
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _feed(text: str) -> None:
    """Make a text the program's standard input."""
    content = os.memfd_create("stdin")
    os.write(content, text.encode())
    os.lseek(content, 0, os.SEEK_SET)
    os.dup2(content, 0)
    os.close(content)


def _standard_library() -> list[Path]:
    names = ("stdlib", "platstdlib")
    folders = dict.fromkeys(Path(sysconfig.get_path(name)).resolve() for name in names)
    return [each for folder in folders for each in (folder, folder / "lib-dynload")]


def _libraries() -> list[Path]:
    """List the folders that Python needs; no others can be read."""
    shared = [Path(name) for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64")]
    beside = Path(sys.base_prefix, "lib").resolve()
    wanted = [*_standard_library(), *shared]
    wanted += [beside] if beside not in shared and sys.base_prefix != "/usr" else []
    found = [path for path in dict.fromkeys(wanted) if path.is_dir()]
    return [
        path for path in found if not any(other in path.parents for other in found if other != path)
    ]


def _limit(job: Mapping[str, Any]) -> None:
    cpu = int(job["cpu_s"])
    for what, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, job["memory"], job["memory"]),
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_FSIZE, job["work_bytes"], job["work_bytes"]),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_NPROC, 64, 64),
    ):
        most = resource.getrlimit(what)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(what, (soft, hard))


def _run(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run the program, then its tests or calls until one fails."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the program's
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    outcome: dict[str, Any] = {"error": _execute(job["program"], "solution.py", names)}
    if outcome["error"] is not None:
        return outcome
    passed = 0
    for test in job["tests"]:
        error = _execute(test, f"test {passed + 1}", names)
        if error is not None:
            outcome["failure"] = error
            break
        passed += 1
    outcome["passed"] = passed
    if job["calls"]:
        outcome["results"] = _call_all(job, names)
    return outcome


def _call_all(job: Mapping[str, Any], names: Mapping[str, Any]) -> list[Any]:
    """Call the named function, or a method of `Solution`, with each list of arguments."""
    name, results = job["function"], []
    for arguments in job["calls"]:
        try:
            function = names.get(name) or getattr(names["Solution"](), name)
            value = function(*arguments)
            results.append({"value": json.loads(json.dumps(value))})
        except BaseException as error:  # noqa: BLE001 - a stranger's
            results.append({"error": _words(error)})
            break
    return results


def _execute(source: str, name: str, names: dict[str, Any]) -> str | None:
    """Run Python source; return what it raised in words, None where it ended well."""
    try:
        exec(compile(source, name, "exec"), names)  # noqa: S102 - what the fences are for
    except SystemExit as error:
        return None if name == "solution.py" and not error.code else f"SystemExit: {error.code}"
    except BaseException as error:  # noqa: BLE001 - a stranger's
        return _words(error)
    return None


def _words(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception_only(error)).strip()
    except BaseException:  # noqa: BLE001 - its own `__str__` failed
        text = type(error).__name__
    return text[-_LONGEST_REASON:]
