"""A path that a stranger wrote is taken only where it stays inside, whatever it looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raygen.recipe.remote.boundary import escape_reason
from raygen.recipe.remote.ref import Fetched

PARTS = st.sampled_from(["..", ".", "a", "b", "up", "out", "here", "x", "", "~", "a b"])
PATHS = st.lists(PARTS, max_size=8).map("/".join) | st.text(max_size=20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sub folders and links: up to its own root, out of it, and to itself."""
    root = (tmp_path_factory.mktemp("inside") / "root").resolve()
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "out").symlink_to("../..")
    (root / "a" / "b" / "here").symlink_to("here")
    (root.parent / "x").write_text("secret")
    return root


@given(PATHS)
@example("../../x")
@example("out/x")
@example("up/../../x")
@example("b/here")
def test_no_path_that_is_let_through_leads_out(root: Path, text: str) -> None:
    fetched = Fetched("r", "r@1", "1", root, root / "a" / "recipe.yaml")
    folder = root / "a"
    if escape_reason(fetched, folder, text) is None:
        real = os.path.realpath(folder / text)
        assert Path(real).is_relative_to(root)
        assert not text.startswith(("/", "~", "file:"))


@pytest.mark.parametrize("text", ["x.jsonl", "b/x", "../x", "up/x", "b/../x", ".", "a b"])
def test_what_is_inside_is_let_through(root: Path, text: str) -> None:
    assert escape_reason(Fetched("r", "r@1", "1", root, root / "r.yaml"), root / "a", text) is None
