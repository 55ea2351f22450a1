"""Folders for temporary files: private ones, and ones with room for a socket's name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from raygen.core.temporary import private_folder, room_for_folder, socket_folder

SOCKET = "sockets/plasma_store"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_users_own_choice_is_taken_where_a_socket_fits(tmp_path: Path) -> None:
    assert socket_folder(str(tmp_path), ("ray",), "s") == str(tmp_path / "ray")
    assert (tmp_path / "ray").is_dir()


def test_a_name_that_is_too_long_for_a_socket_is_passed_over(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    found = socket_folder(str(long), ("ray",), SOCKET)
    assert found is not None
    assert len(os.fsencode(f"{found}/{SOCKET}")) <= 107
    assert not long.exists()


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "ray").write_text("a file")
    assert socket_folder(str(tmp_path), ("ray", "ray-1"), "s") == str(tmp_path / "ray-1")


def test_there_may_be_no_folder_at_all() -> None:
    assert socket_folder("/var", ("ray",), "x" * 107) is None


def test_the_room_for_a_folder_is_what_a_socket_leaves() -> None:
    folder = "/" + "x" * (room_for_folder(SOCKET) - 1)
    assert len(f"{folder}/{SOCKET}") == 107


def test_a_private_folder_is_nobody_elses(temporary: Path) -> None:
    folder = private_folder()
    assert folder == private_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("make", ["open", "link"])
def test_a_folder_that_somebody_else_prepared_is_not_used(temporary: Path, make: str) -> None:
    taken = temporary / f"raygen-{os.getuid()}"
    if make == "open":
        taken.mkdir()
        taken.chmod(0o777)
    else:
        (temporary / "elsewhere").mkdir(mode=0o700)
        taken.symlink_to(temporary / "elsewhere")
    folder = private_folder()
    assert folder != taken
    assert folder.stat().st_mode & 0o777 == 0o700
