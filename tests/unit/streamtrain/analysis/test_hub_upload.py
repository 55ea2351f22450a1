"""Pushing a student, against a stub of the hub's HTTP interface in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamtrain.analysis.export import check_pushable
from streamtrain.errors import InputError
from tests.support.hub_stub import TOKEN, Hub, running_hub

PUSH = "import sys; from pathlib import Path; from streamtrain.analysis import push_folder; "


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


def push(hub: Hub, folder: Path, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    code = f"{PUSH}print(push_folder(Path({str(folder)!r}), 'me/student', True))"
    return hub.python(code, folder.parent / "home", token)


def test_a_folder_becomes_a_commit_in_a_repository(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("# A student\n")
    done = push(hub, folder)
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["me/student"]
    assert done.stdout.strip().endswith(f"/me/student/commit/{repository.sha}")
    assert (repository.private, repository.commits) == (True, 1)
    assert set(repository.files) == {"config.json", "README.md"}


def test_a_token_that_is_refused_is_one_clear_error(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    done = push(hub, folder, "hf_bad")
    assert done.returncode != 0
    assert "InputError: can't push to me/student: " in done.stderr
    assert "hf auth login" in done.stderr
    assert "hf_bad" not in done.stderr


def test_an_adapter_of_a_local_model_is_not_pushed(tmp_path: Path) -> None:
    settings = tmp_path / "adapter_config.json"
    settings.write_text(json.dumps({"base_model_name_or_path": "/models/mine"}))
    with pytest.raises(InputError, match="with --merge"):
        check_pushable(tmp_path)
    settings.write_text(json.dumps({"base_model_name_or_path": "org/model"}))
    check_pushable(tmp_path)
