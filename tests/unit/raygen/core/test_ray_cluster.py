"""Starting Ray: what is tried again, and what is set right before. Ray itself is not imported."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from raygen.core.errors import UserError
from raygen.core.ray_cluster import (
    last_line,
    start_twice,
    temp_folder,
    use_callers_umask,
    use_private_token,
)

LATE = "The current node timed out during startup. This could happen because the GCS is overloaded."


class Starts:
    """A start that fails so many times, as Ray's own does."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.steps: list[str] = []

    def start(self) -> str:
        self.steps.append("start")
        if self.steps.count("start") <= self.failures:
            raise Exception(LATE)
        return "joined"

    def clean_up(self) -> None:
        self.steps.append("clean up")


def start(starts: Starts) -> str:
    return start_twice(starts.start, starts.clean_up, "a local Ray cluster", Path("logs/ray.log"))


def test_a_node_that_is_late_is_started_again() -> None:
    starts = Starts(1)
    assert start(starts) == "joined"
    assert starts.steps == ["start", "clean up", "start"]


def test_a_node_that_is_late_twice_ends_with_what_to_do() -> None:
    starts = Starts(2)
    with pytest.raises(UserError) as raised:
        start(starts)
    assert starts.steps.count("start") == 2
    assert str(raised.value) == (
        f"can't reach or start a local Ray cluster: {LATE}; where this machine is busy or short of "
        "memory, try again when it is not; Ray's log is logs/ray.log"
    )
    assert raised.value.exit_code == 1


def test_an_address_that_refuses_is_not_tried_again() -> None:
    starts: list[str] = []

    def refused() -> str:
        starts.append("start")
        raise ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")

    with pytest.raises(UserError, match=r"^can't reach or start x: Failed to connect .*:6379$"):
        start_twice(refused, lambda: None, "x", Path("log"))
    assert starts == ["start"]


def test_a_start_that_the_user_ends_is_not_tried_again() -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_twice(interrupted, lambda: None, "x", Path("log"))


def test_the_first_failure_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "raygen.core.ray_cluster"):
        start(Starts(1))
    assert "timed out during startup" in caplog.text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo\n"), "two"),
        (ValueError(""), "ValueError"),
    ],
)
def test_an_error_is_shown_by_its_last_line(error: Exception, line: str) -> None:
    assert last_line(error) == line


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_rays_folder_lies_in_one_that_nobody_else_may_look_into(variable: str) -> None:
    with tempfile.TemporaryDirectory() as short:
        folder = Path(temp_folder({"TMPDIR": "/proc", variable: short}))
        assert folder.name == "ray"
        assert folder.parent.parent == Path(short)
        assert folder.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("folder", ["/proc/nowhere", f"/var/{'x' * 60}"])
def test_a_folder_that_ray_cannot_use_is_replaced(folder: str) -> None:
    found = temp_folder({"TMPDIR": folder})
    assert not found.startswith(folder)


def test_without_any_folder_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.core.writable_folders._MOST_SOCKET_BYTES", 64)
    with pytest.raises(UserError, match=r"found '/x'; expected .* set RAY_TMPDIR to such a folder"):
        temp_folder({"TMPDIR": "/x"})


def token_of(**environ: str) -> str | None:
    use_private_token(environ)
    return environ.get("RAY_AUTH_TOKEN_PATH")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda name: tmp_path / name


def test_ray_writes_its_token_where_it_can(home: Callable[[str], Path]) -> None:
    assert token_of(HOME=str(home("me"))) is None


def test_a_token_is_made_where_the_home_cannot_be_written(home: Callable[[str], Path]) -> None:
    path = token_of(HOME="/proc/no-home")
    assert path is not None
    file = Path(path)
    assert len(file.read_text()) == 64
    assert file.stat().st_mode & 0o077 == 0, "nobody else may read it"


def test_a_token_that_an_earlier_ray_left_open_is_closed(home: Callable[[str], Path]) -> None:
    token = home("me") / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text("secret")
    token.chmod(0o644)
    token_of(HOME=str(home("me")))
    assert token.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("umask", ["022", "077", ""])
def test_a_worker_takes_the_umask_of_its_user(umask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        monkeypatch.setenv("RAYGEN_UMASK", umask)
        use_callers_umask()
        assert os.umask(0o027) == int(umask or "027", 8)
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "environ", [{"RAY_AUTH_TOKEN": "x"}, {"RAY_AUTH_MODE": "disabled"}], ids=["token", "none"]
)
def test_no_token_is_made_where_none_is_needed(environ: dict[str, str]) -> None:
    assert token_of(HOME="/proc/no-home", **environ) is None
