"""Whatever text a command gets for a path, a folder or a reference: one error, none unexpected."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import Group
from hypothesis import given
from hypothesis import strategies as st

from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.dataset.storage import Folder
from streamtrain.cli.main import main as streamtrain
from tests.support.odd_paths import ODD, check_refused
from tests.support.small_datasets import QUIZ, questions, write_recipe

OURS = (
    "status ODD", "show ODD", "show ODD --verdicts", "card ODD", "report ODD", "report ODD --out x",
    "export ODD --format jsonl", "diff ODD r.yaml", "diff r.yaml ODD", "push ODD out", "pull ODD",
    "pull ODD out", "validate ODD", "plan ODD", "plan r.yaml --profile ODD", "graph ODD",
    "validate r.yaml --trust ODD", "plan r.yaml --set source.path=ODD",
    "plan r.yaml --set extends=ODD", "lock ODD", "preview ODD", "apply ODD",
)  # fmt: skip
STUDENTS = (
    "fit ODD", "fit ODD --check", "fit ODD --data out", "eval out --data ODD",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recipe(tmp_path, QUIZ, questions(1)).rename(tmp_path / "r.yaml")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("odd", ODD, ids=[ascii(text[:24]) for text in ODD])
@pytest.mark.parametrize(("group", "lines"), [(main, OURS), (streamtrain, STUDENTS)])
def test_an_odd_path_is_an_error_that_says_so(
    group: Group, lines: tuple[str, ...], odd: str
) -> None:
    check_refused(group, lines, odd)


SIGNS = [*"a:/.~[]@#?%\\ \0é\udcff\ud800", "://", "s3", "file"]


@given(st.lists(st.sampled_from(SIGNS), max_size=12).map("".join))
def test_any_text_names_a_folder_or_is_an_error(text: str) -> None:
    try:
        folder = Folder.at(text)
    except UserError as error:
        assert "names no folder" in str(error)  # noqa: PT017 - for most texts there is no error
    else:
        assert folder.uri
