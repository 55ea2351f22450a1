"""Whatever is given as a reference, whatever a store lists: an error, or files in their place."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import assume
from hypothesis import strategies as st

from raygen.core import UserError, without_secret
from raygen.core.access import access_to
from raygen.recipe.remote.fetch import recipe_in
from raygen.recipe.remote.gather import gather
from raygen.recipe.remote.ref import is_remote, parse_ref
from tests.fuzz.cases import cases
from tests.fuzz.strategies import anything, hostile

starts = st.sampled_from(
    ["git+https://", "git+ssh://git@", "git+file://", "hf://", "hf://datasets/", "https://",
     "s3://", "gs://", "file://", "memory://", "simplecache::s3://", "GIT+HTTPS://", "://", ""]
)  # fmt: skip
middles = st.lists(
    st.sampled_from(
        ["host", "org", "name", "recipe.yaml", "..", ".", "", "~", "@", "#", "?", ":", "%2e%2e",
         "%00", "\0", "\\", "me:secret@", "@v1", "@" + "a" * 40, "@sha256:" + "0" * 64, "#path",
         "?token=x", "[::1]", "[", "127.0.0.1", "-oProxyCommand=x", "\ud800", "\u202e", "é", " "]
    )
    | anything,
    max_size=6,
)  # fmt: skip
references = st.builds(
    lambda start, parts, between: start + between.join(parts), starts, middles,
    st.sampled_from(["/", "", "@", "#"]),
)  # fmt: skip


@cases("references", references | hostile, vary=(0,))
def test_any_reference(text: str) -> None:
    if not is_remote(text):
        return
    try:
        ref = parse_ref(text)
    except UserError as error:
        assert str(error)
        return
    assert ref.location
    assert text.isprintable()
    pinned = ref.at("f" * 40 if ref.kind != "url" else "sha256:" + "f" * 64)
    assert parse_ref(pinned).at(ref.rev or "v") == ref.at(ref.rev or "v")


@cases("references", references | hostile, weight=0.5, sample=15, vary=(0,))
def test_any_path_of_a_recipe(tmp_path: Path, text: str) -> None:
    try:
        assert recipe_in(tmp_path / text).is_file()
    except UserError as error:
        assert str(error)
    except ValueError:
        assert "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text)


@cases(
    "references", references, references, st.lists(references, max_size=2), weight=0.5, sample=15,
    vary=(0, 1, 2),
)  # fmt: skip
def test_any_address_is_read_as_nobody_unless_it_was_named(
    url: str, home: str, as_me: list[str]
) -> None:
    assert access_to(url, home, ()) is not None
    if access_to(url, home, as_me) is None:
        assert any(re.match(r"[^:/]+://[^/]", address) for address in as_me)


@cases("references", references | hostile, weight=0.5, sample=15, vary=(0,))
def test_any_address_with_a_password(text: str) -> None:
    address = f"https://me:pa55word-in-it@{text}"
    try:
        without_secret(address)
    except ValueError as error:
        assert "pa55word" not in str(error)
    else:
        assume(False)


segments = st.sampled_from(["a", "b", "..", ".", "", "data", "x.yaml", "~", "\\", "c:", " ", "\n"])
names = st.lists(segments | anything, min_size=1, max_size=6).map("/".join) | hostile


class Listed:
    """A store that lists these names, and has a file of each."""

    def __init__(self, listed: list[str]) -> None:
        self._listed = listed

    def read(self, path: str) -> bytes:
        """Read a recipe that names all of them, whatever the path."""
        return json.dumps({"x": self._listed}).encode()

    def names(self) -> list[str]:
        """List the names."""
        return self._listed


@cases("references", st.lists(names, max_size=5), vary=(0,))
def test_any_names_of_a_store(tmp_path: Path, listed: list[str]) -> None:
    assume(not any(sign in name for name in listed for sign in "*?"))  # a glob starts a process
    outside = tmp_path / "outside"
    into = outside / "into"
    for path in sorted(outside.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    into.mkdir(parents=True)
    try:
        gather(Listed(listed), "s3://b", "recipe.yaml", into)
    except UserError as error:
        assert str(error)
    assert [path.name for path in outside.iterdir()] == ["into"]
    assert {path.name for path in tmp_path.iterdir()} == {"outside"}
