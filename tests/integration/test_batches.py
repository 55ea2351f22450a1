"""A run on an endpoint's batches, killed at every stage: what was sent is not sent again."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Project

pytestmark = pytest.mark.slow

ROWS = 20


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of an endpoint whose batches have not ended at the first look."""
    command = [sys.executable, "-m", "tests.support.batch_server", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


def sent(endpoint: str) -> list[list[str]]:
    with urllib.request.urlopen(endpoint.removesuffix("/v1") + "/sent") as reply:  # noqa: S310
        batches: list[list[str]] = json.load(reply)
        return batches


def write(project: Project, endpoint: str) -> None:
    args = {"base_url": endpoint, "mode": "batch"}
    ask = {"op": "generate", "engine": "teacher", "n": 1}
    project.write(
        ROWS,
        version=2,
        engines={"teacher": {"model": "m", "backend": "openai", "args": args}},
        graph={
            "first": {**ask, "from": "source", "prompt": "1 {{ question }}", "into": "one"},
            "second": {**ask, "from": "first", "prompt": "2 {{ one }}", "into": "two"},
        },
        output={"from": "second", "path": "out"},
    )


def test_a_run_killed_while_each_of_its_batches_waits_sends_none_again(
    project: Project, endpoint: str
) -> None:
    write(project, endpoint)
    for batches in (1, 2):
        process = project.start()
        project.wait_for(lambda n=batches: len(sent(endpoint)) == n, process)
        status = project.status()
        assert status["batches"][-1]["state"] in ("creating", "waiting", "ended")
        process.kill()
        process.communicate()
    project.ends(project.start())
    assert [len(batch) for batch in sent(endpoint)] == [ROWS, ROWS]
    status = project.status()
    assert (status["kept"], status["pending"]) == (ROWS, 0)
    assert [batch["state"] for batch in status["batches"]] == ["ended", "ended"]
    assert project.examples()["two"].str.starts_with("said: 2 said: 1 Question").all()
