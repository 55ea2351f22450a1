"""An endpoint that fails in every way that servers fail: no row is lost, whole runs of `apply`."""

from __future__ import annotations

import json
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from tests.integration.conftest import Project
from tests.integration.test_faults_driver import nothing_is_left_over

SAME = ["id", "key", "view", "rationale", "predicted", "label"]
TIME_LIMIT_S = 2
FAULTS = ("429", "429 with a time", "500", "503", "garbage", "empty", "half", "nothing", "late")


class Server(ThreadingHTTPServer):
    """A stub of a model's server; `fault(question, times asked)` says how it fails, if at all."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.down = 0
        """So many requests from now on find nobody there."""
        self.lock = threading.Lock()

    def fault(self, question: str) -> str | None:
        with self.lock:
            self.asked[question] += 1
            if self.down:
                self.down -= 1
                self.failed["down"] += 1
                return "nothing"
            if "poison" in question:
                return "500"
            number = int(question.split()[1].rstrip("?"))
            fails = self.asked[question] == 1 and number % 2
            fault = FAULTS[number // 2 % len(FAULTS)] if fails else None
            self.failed.update([fault] if fault else [])
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._send(200, b'{"data": []}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        question = [line for line in prompt.splitlines() if "?" in line][-1].split("Q: ")[-1]
        texts = [f"{question} has an answer {k}. So the answer is: (a)" for k in range(body["n"])]
        key = "messages" in body
        choices = [
            {"index": k, **({"message": {"content": text}} if key else {"text": text})}
            for k, text in enumerate(texts)
        ]
        good = json.dumps({"choices": choices, "usage": {"prompt_tokens": 3}}).encode()
        self._fail(self.server.fault(question), good)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _fail(self, fault: str | None, good: bytes) -> None:
        if fault is None:
            self._send(200, good)
        elif fault == "429 with a time":
            self._send(429, b"slower", {"Retry-After": "1"})
        elif fault.isdigit():
            self._send(int(fault), b"<html>sorry</html>")
        elif fault == "garbage":
            self._send(200, b"\x00\xff{]" * 50)
        elif fault == "empty":
            self._send(200, b"")
        elif fault == "half":
            self._send(200, good, cut=len(good) // 2)
        elif fault == "nothing":
            self._cut()
        else:
            time.sleep(2 * TIME_LIMIT_S)
            self._cut()

    def _send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, cut: int = 0
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:cut] if cut else content)
        if cut:
            self._cut()

    def _cut(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    server = Server(port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def write(project: Project, server: Server, rows: int, timeout: int = TIME_LIMIT_S) -> list[str]:
    """A recipe on the endpoint; returns the words that keep few rows in flight."""
    args = {"base_url": f"http://127.0.0.1:{server.server_address[1]}/v1", "timeout": timeout}
    engine = {"model": "m", "backend": "openai", "args": args}
    project.write(rows, engines={"teacher": engine})
    profile = project.folder / "few.yaml"
    profile.write_text("profile: few\nconcurrency: 8\n")
    return ["--profile", str(profile)]


def expected(project: Project) -> pl.DataFrame:
    """The examples that a server without faults gives."""
    with serving() as server:
        server.fault = lambda question: None  # type: ignore[method-assign]
        source = project.folder / "source.jsonl"
        text = source.read_text()
        other = Project(project.folder / "undisturbed", project.address)
        other.folder.mkdir()
        write(other, server, 1)
        (other.folder / "source.jsonl").write_text(text)
        other.apply()
    return other.examples().select(SAME)


def test_every_fault_of_a_server_passes_and_no_row_is_lost(project: Project) -> None:
    rows = 2 * 2 * len(FAULTS)
    with serving() as server:
        summary = project.apply(*write(project, server, rows))
        assert server.failed == dict.fromkeys(FAULTS, 2)
        assert server.asked.total() == rows + rows // 2
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert len(project.ledger()) == rows
    texts = [f"Question {i}? has an answer {k}." for i in range(0, rows, 3) for k in range(4)]
    assert sorted(project.examples()["rationale"]) == sorted(texts)
    nothing_is_left_over(project)


@pytest.mark.slow
def test_a_row_that_a_server_always_fails_ends_with_its_reason_and_the_others_are_kept(
    project: Project,
) -> None:
    with serving() as server:
        words = write(project, server, 30)
        source = project.folder / "source.jsonl"
        source.write_text(source.read_text().replace("Question 7?", "poison 7?"))
        summary = project.apply(*words)
        assert (summary["rows"]["failed"], summary["rows"]["pending"]) == (1, 0)
        (error,) = project.status()["errors"]
        assert "bad_response" in error["error"]
        server.fault = lambda question: None  # type: ignore[method-assign]
        again = project.apply("--retry", "failed")
    assert (again["rows"]["failed"], again["rows"]["pending"]) == (0, 0)
    assert project.examples().select(SAME).equals(expected(project))


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_is_waited_for(project: Project) -> None:
    with serving() as server:
        words = write(project, server, 60)
        server.down = 10
        summary = project.apply(*words)
        assert server.failed["down"] == 10
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert project.examples().select(SAME).equals(expected(project))
    logs = "".join(path.read_text() for path in project.folder.rglob("worker-*.log"))
    assert "one request asks on, others wait for it" in logs
    assert "answers again" in logs


@pytest.mark.slow
def test_a_server_that_dies_ends_the_run_and_the_next_apply_goes_on(
    project: Project, record_property: Callable[[str, object], None]
) -> None:
    with serving() as server:
        port = server.server_address[1]
        words = write(project, server, 120)
        server.fault = lambda question: time.sleep(0.3)  # type: ignore[method-assign]
        process = project.start(*words)
        project.wait_for(lambda: project.committed() > 0, process)
        server.fault = lambda question: "nothing"  # type: ignore[method-assign]
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    told = json.loads(out)["message"]
    assert f"127.0.0.1:{port}" in told
    assert "what is not done stays pending" in told
    status = project.status()
    assert status["failed"] == 0
    assert 0 < status["pending"] < 120
    with serving(port) as server:
        server.fault = lambda question: None  # type: ignore[method-assign]
        again = project.start()
        record_property("recovery_s", project.recovers(again, 120 - status["pending"]))
        summary = project.ends(again)
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert project.examples().select(SAME).equals(expected(project))
    nothing_is_left_over(project)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_second_ctrl_c_stops_at_once_and_what_was_committed_stays(
    project: Project, number: signal.Signals
) -> None:
    """The first would wait for what is in flight, here for a minute."""
    asked = threading.Event()

    def hold(question: str) -> None:
        asked.set()
        time.sleep(60)

    with serving() as server:
        words = write(project, server, 20, timeout=100)
        server.fault = hold  # type: ignore[method-assign]
        process = project.start(*words)
        project.wait_for(asked.is_set, process)
        process.send_signal(number)
        # While Ray waits it looks for signals once a second, and two of a kind become one.
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=50)
    assert process.returncode == 130, err
    assert "Stopped at once; what was committed before stays" in err
    assert "Traceback" not in err
    assert project.status()["pending"] == 20
