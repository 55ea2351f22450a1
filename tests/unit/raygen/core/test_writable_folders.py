"""Folders for temporary files, sockets and libraries' caches, where home can't be written to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from raygen.core.writable_folders import (
    home_folder,
    make_private,
    open_private,
    private_folder,
    room_for_folder,
    socket_folder,
    use_writable_home,
)

SOCKET = "sockets/plasma_store"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_the_users_own_choice_is_taken_where_a_socket_fits(tmp_path: Path) -> None:
    folder = socket_folder(str(tmp_path), "s")
    assert folder == str(tmp_path / f"raygen-{os.getuid()}")
    assert Path(folder).stat().st_mode & 0o777 == 0o700


def test_a_name_that_is_too_long_for_a_socket_is_passed_over(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    folder = socket_folder(str(long), SOCKET)
    assert folder is not None
    assert len(os.fsencode(f"{folder}/{SOCKET}")) <= 107
    assert not long.exists()


def test_a_folder_that_cannot_be_written_is_passed_over(temporary: Path) -> None:
    folder = socket_folder("/proc", "s")
    assert folder == str(temporary / f"raygen-{os.getuid()}")


def test_there_may_be_no_folder_at_all() -> None:
    assert socket_folder("/var", "x" * 107) is None


def test_the_room_for_a_folder_is_what_a_socket_leaves() -> None:
    folder = "/" + "x" * (room_for_folder(SOCKET) - 1)
    assert len(f"{folder}/{SOCKET}") == 107


def test_a_private_folder_is_nobody_elses(temporary: Path) -> None:
    folder = private_folder()
    assert folder == private_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_private_is_nobody_elses_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "a" / "logs")
        with open(tmp_path / "a" / "log", "ab", opener=open_private) as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "logs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "log").stat().st_mode & 0o777 == 0o600


def test_a_private_file_is_opened_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        open(tmp_path / "log", "ab", opener=open_private)  # noqa: SIM115
    assert not (tmp_path / "elsewhere").exists()


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


NOWHERE = "/proc/no-home"
"""A folder that nobody can make, not even root."""


def used(**environ: str) -> dict[str, str]:
    """The variables that are set or changed."""
    after = {"USER": "somebody", **environ}
    use_writable_home(after)
    return {name: value for name, value in after.items() if environ.get(name) != value}


def test_a_home_that_can_be_written_changes_nothing(tmp_path: Path) -> None:
    assert used(HOME=str(tmp_path)) == {"USER": "somebody"}


def test_without_one_libraries_write_to_a_private_folder(temporary: Path) -> None:
    changed = used(HOME=NOWHERE)
    private = temporary / f"raygen-{os.getuid()}"
    assert changed["HF_HOME"] == str(private / "huggingface")
    assert {"RAYGEN_CACHE", "VLLM_CACHE_ROOT", "TRITON_HOME"} <= set(changed)
    assert all(value.startswith(str(private)) for name, value in changed.items() if name != "USER")
    assert private.stat().st_mode & 0o777 == 0o700
    assert "HOME" not in changed, "what is there can still be read"


def test_what_the_user_has_set_stays() -> None:
    changed = used(HOME=NOWHERE, HF_HOME="/models", VLLM_CACHE_ROOT="/cache")
    assert not {"HF_HOME", "VLLM_CACHE_ROOT"} & set(changed)


def test_a_cache_folder_that_can_be_written_is_enough(tmp_path: Path) -> None:
    assert used(HOME=NOWHERE, XDG_CACHE_HOME=str(tmp_path / "cache")) == {"USER": "somebody"}


def test_models_in_a_cache_that_is_read_only_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    monkeypatch.setattr("raygen.core.writable_folders.can_write", lambda folder: False)
    changed = used(HOME=str(tmp_path))
    assert "HF_HOME" not in changed
    assert {"HF_DATASETS_CACHE", "RAYGEN_CACHE"} <= set(changed), "these are written to"


def test_a_user_whom_the_machine_does_not_know_gets_a_home_and_a_name(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert home_folder({}) is None
    after: dict[str, str] = {}
    use_writable_home(after)
    assert after["USER"] == "user54321"
    assert Path(after["HOME"]).is_relative_to(temporary)
