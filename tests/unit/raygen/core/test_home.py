"""Where libraries keep what is theirs when the home can't be written to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from raygen.core.home import home_folder, use_writable_home

NOWHERE = "/proc/no-home"
"""A folder that nobody can make, not even root."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


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
    monkeypatch.setattr("raygen.core.home.can_write", lambda folder: False)
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
