"""Fetching by reference: git, the web, any fsspec URL, the hub's HTTP interface; pins and cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from raygen.config.document import ProblemsError
from raygen.core.errors import UserError
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.load import load_recipe
from raygen.recipe.remote import gather, store
from raygen.recipe.remote.fetch import fetch, find_recipe
from raygen.recipe.remote.ref import RecipeRef, parse_ref
from tests.support.references import RECIPE, commit, files_of, git, hub_of, served, write_recipe


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "recipes"


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


SHA = "a" * 40
PIN = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("git+https://h/o/r", RecipeRef("git", "https://h/o/r", "recipe.yaml")),
        (
            "git+https://h/o/r.git@v1#x/y.yaml",
            RecipeRef("git", "https://h/o/r.git", "x/y.yaml", "v1"),
        ),
        ("git+ssh://git@h/o/r@a/b#x", RecipeRef("git", "ssh://git@h/o/r", "x/recipe.yaml", "a/b")),
        ("git+file:///o/r@main#x.yml", RecipeRef("git", "file:///o/r", "x.yml", "main")),
        ("hf://datasets/o/n/r.yaml@v1", RecipeRef("hub", "datasets/o/n", "r.yaml", "v1")),
        ("hf://datasets/o/n@v1/x/r.yaml", RecipeRef("hub", "datasets/o/n", "x/r.yaml", "v1")),
        ("hf://datasets/o/n", RecipeRef("hub", "datasets/o/n", "recipe.yaml")),
        ("hf://o/n/r.yaml", RecipeRef("hub", "o/n", "r.yaml")),
        ("https://h/x/r.yaml", RecipeRef("url", "https://h/x", "r.yaml")),
        ("s3://b/x/", RecipeRef("url", "s3://b/x", "recipe.yaml")),
        (f"s3://b/r.yaml@{PIN}", RecipeRef("url", "s3://b", "r.yaml", PIN)),
    ],
)
def test_a_reference_is_taken_apart_and_put_together(text: str, ref: RecipeRef) -> None:
    assert parse_ref(text) == ref
    pin = PIN if ref.kind == "url" else SHA
    assert parse_ref(ref.at(pin)) == replace(ref, rev=pin)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("git+ftp://h/r", "expected one of git"),
        ("git+https://h", "found no repository"),
        ("git+https://h/r@--upload-pack=x", "found the revision '--upload-pack=x'"),
        ("git+https://h/r@", "found the revision ''"),
        ("git+https://h/r#../x.yaml", "inside the repository"),
        ("git+https://h/r#/etc/x.yaml", "inside the repository"),
        ("git+https://ghp_secret@h/r", "would be written beside the dataset"),
        ("https://u:secret@h/r.yaml", "would be written beside the dataset"),
        ("https://h/r.yaml?token=secret", "would be written beside the dataset"),
        ("https://h/r.yaml#x", "'#path' belongs to git"),
        ("hf://datasets/o", "expected hf://datasets/owner/name"),
        ("hf://datasets/o/n/r.yaml@", "a revision is missing"),
        ("hf://@v1/@v1//", "expected hf://datasets/owner/name"),
        ("hf://datasets/o@v1/n", "expected hf://datasets/owner/name"),
        ("hf://datasets/o/n/?", "a user, a password or a '?...'"),
        ("https://me:secret@[host/r.yaml", "https://... is no address: Invalid IPv6 URL"),
        ("git+https://host/a\0b", "git+https://... is no address: it has characters that can't"),
    ],
)
def test_what_is_no_reference_says_so_and_shows_no_secret(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_ref(text)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_path_is_not_fetched(tmp_path: Path) -> None:
    assert find_recipe("x/r.yaml") == (Path("x/r.yaml"), None)
    assert find_recipe("file:///x/r.yaml") == (Path("/x/r.yaml"), None)


def test_a_repository_is_fetched_at_a_branch_tag_or_commit(tmp_path: Path, cache: Path) -> None:
    repository = tmp_path / "repository"
    write_recipe(repository / "recipes" / "a")
    first = commit(repository)
    git(repository, "tag", "-a", "-m", "v1", "v1")
    write_recipe(repository / "recipes" / "a", RECIPE.replace("default: 2", "default: 5"))
    second = commit(repository)
    git(repository, "branch", "feature/x", first)
    url = f"git+file://{repository}"
    pins = {
        "": second,
        "@main": second,
        "@v1": first,
        "@feature/x": first,
        f"@{first}": first,
        f"@{first[:9]}": first,
    }
    assert {rev: fetch(f"{url}{rev}#recipes/a").pin for rev in pins} == pins
    found = fetch(f"{url}@v1#recipes/a")
    assert found.pinned == f"{url}@{first}#recipes/a/recipe.yaml"
    assert found.root.parent == cache
    assert not (found.root / ".git").exists()
    assert load_recipe(found.file, fetched=found).params == {"n": 2}
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []
    repository.rename(tmp_path / "gone")
    assert fetch(found.pinned).file == found.file, "a pin that is cached needs no repository"


@pytest.mark.parametrize(
    ("rev", "path", "message"),
    [
        ("@nowhere", "", "can't be fetched"),
        ("@0000000", "", "no commit '0000000' in it"),
        ("", "#other.yaml", "has no file 'other.yaml'"),
        ("", f"#{'x' * 300}.yaml", f"has no file '{'x' * 300}.yaml'"),
    ],
)
def test_what_a_repository_does_not_have_is_an_error(
    tmp_path: Path, rev: str, path: str, message: str
) -> None:
    write_recipe(tmp_path / "repository")
    commit(tmp_path / "repository")
    with pytest.raises(UserError, match=message):
        fetch(f"git+file://{tmp_path}/repository{rev}{path}")


def test_a_missing_repository_is_reported_in_gits_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't be fetched: '.*nowhere' does not appear to be a"):
        fetch(f"git+file://{tmp_path}/nowhere")


INLINE = RECIPE.replace("{file: p.j2}", "'{{ question }}'")


def test_a_recipe_on_the_web_comes_alone(tmp_path: Path) -> None:
    rows = write_recipe(tmp_path / "site" / "a").parent / "data" / "q.jsonl"
    with served(files_of(tmp_path / "site")) as address:
        url = f"{address}/a/{rows.relative_to(rows.parents[1])}"
        (tmp_path / "site" / "a" / "recipe.yaml").write_text(INLINE.replace("data/q.jsonl", url))
        found = fetch(f"{address}/a/recipe.yaml")
        assert found.pin.startswith("sha256:")
        assert fetch(f"{address}/a/").root == fetch(f"{address}/a").root == found.root
        with pytest.raises(UserError, match=r"has no file 'b\.yaml'"):
            fetch(f"{address}/b.yaml")
        assert prepare(RecipeRequest(found.file, fetched=found)).recipe.name == "shared"
    assert [path.name for path in found.root.rglob("*")] == ["recipe.yaml"]
    assert fetch(found.pinned).root == found.root, "a pin that is cached needs no server"
    with pytest.raises(UserError, match="can't be fetched"):
        fetch(f"{address}/a/recipe.yaml")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (RECIPE, [("4:10", "data/q.jsonl"), ("10:71", "p.j2")]),
        (f"extends: base\n{INLINE}", [("1:1", "base")]),
        (f"{INLINE}train: student.yaml\n", [("4:10", "data/q.jsonl"), ("12:1", "student.yaml")]),
    ],
)
def test_what_a_recipe_on_the_web_lacks_is_reported_with_advice(
    tmp_path: Path, text: str, places: list[tuple[str, str]]
) -> None:
    write_recipe(tmp_path / "site" / "a", text)
    with served(files_of(tmp_path / "site")) as address:
        found = fetch(f"{address}/a/recipe.yaml")
        with pytest.raises(ProblemsError) as caught:
            load_recipe(found.file, fetched=found)
    told = [str(problem).removeprefix(f"{found.file}:") for problem in caught.value.problems]
    assert [line.partition(": ")[0] for line in told] == [place for place, _ in places]
    for line, (_, name) in zip(told, places, strict=True):
        assert f"{name!r} didn't come along: " in line
        assert "only its own file is fetched; write the text into it" in line


def test_a_changed_recipe_is_another_pin_and_not_the_one_that_was_named(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe({"/a/recipe.yaml": RECIPE.encode(), "/a/p.j2": b"1"})
    first = fetch("memory://a/recipe.yaml")
    memory.pipe({"/a/p.j2": b"2"})
    second = fetch("memory://a/recipe.yaml")
    assert first.pin != second.pin
    assert (first.root / "p.j2").read_text() == "1"
    assert fetch(first.pinned).root == first.root
    other = first.pinned.replace("sha256:", "sha256:" + "0" * 64)[: -len(first.pin) + 7]
    with pytest.raises(UserError, match="is no longer what sha256:0000"):
        fetch(other)


def test_globs_students_and_extended_recipes_come_along(
    memory: fsspec.AbstractFileSystem,
) -> None:
    memory.pipe({
        "/a/recipe.yaml": b"extends: base\nrecipe: top\nsource: {path: 'rows/*.jsonl'}\n"
                          b"train: student.yaml\n",
        "/a/base/recipe.yaml": RECIPE.encode(),
        "/a/base/p.j2": b"{{ question }}",
        "/a/rows/1.jsonl": b'{"question": "Q", "choices": ["a", "b"], "answer": 0}\n',
        "/a/rows/2.jsonl": b'{"question": "R", "choices": ["a", "b"], "answer": 0}\n',
        "/a/student.yaml": b"student: s\nversion: 1\nmodel: o/m\nevaluate: {report: held.jsonl}\n",
        "/a/held.jsonl": b"{}\n",
    })  # fmt: skip
    found = fetch("memory://a")
    files = {path.relative_to(found.root).as_posix() for path in found.root.rglob("*.*")}
    assert files == {"recipe.yaml", "base/recipe.yaml", "base/p.j2", "rows/1.jsonl", "rows/2.jsonl",
                     "student.yaml", "held.jsonl"}  # fmt: skip
    recipe = prepare(RecipeRequest(found.file, fetched=found)).recipe
    assert (recipe.name, recipe.fetched) == ("top", (found,))


def test_a_file_comes_along_by_its_listing_and_not_by_its_ending(
    memory: fsspec.AbstractFileSystem,
) -> None:
    memory.pipe({
        "/a/recipe.yaml": RECIPE.replace("p.j2", "prompts/ask").encode(),
        "/a/prompts/ask": b"{{ question }}",
        "/a/notes.txt": b"nobody names it",
        "/a/data/q.jsonl": b"{}\n",
    })  # fmt: skip
    found = fetch("memory://a")
    files = {path.relative_to(found.root).as_posix() for path in found.root.rglob("*")}
    assert files == {"recipe.yaml", "prompts", "prompts/ask", "data", "data/q.jsonl"}


class Listed:
    """A store that lists what it is told to."""

    def __init__(self, names: list[str], text: str = "") -> None:
        self._names = names
        self._text = text or "x: 'data/**/x.json'\ny: ../up.json\nz: 'a\\b'\n"
        self.read_paths: list[str] = []

    def read(self, path: str) -> bytes:
        self.read_paths.append(path)
        return self._text.encode()

    def names(self) -> list[str]:
        return self._names


def test_a_listed_name_that_leads_out_is_not_written(tmp_path: Path) -> None:
    out = ["data/../../../x.json", "/data/x.json", "data//x.json", "../up.json", "a\\b"]
    store = Listed(["recipe.yaml", "data/x.json", "data/b/c/x.json", *out])
    into = tmp_path / "into"
    gather.gather(store, "s3://b", "recipe.yaml", into)
    assert store.read_paths == ["recipe.yaml", "data/b/c/x.json", "data/x.json"]
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert files == {f"into/{name}" for name in store.read_paths}


@pytest.mark.parametrize(
    "name",
    [
        "/etc/x",
        "a/../../x",
        f"a/{'x' * 256}",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("../x", "a/./x", "a//x", "a\\..\\x", "a\0x", "a\nx", "a/", "\udc80x")
        ),
        pytest.param("/".join(letter * 250 for letter in "xyza") + "/x", marks=pytest.mark.slow),
    ],
)
def test_a_name_that_would_be_written_elsewhere_is_not_fetched(tmp_path: Path, name: str) -> None:
    store = Listed(["recipe.yaml", name], "x: ['**', '*/**', '**/x*']")
    gather.gather(store, "s3://b", "recipe.yaml", tmp_path / "into")
    assert store.read_paths == ["recipe.yaml"]
    assert [path.name for path in tmp_path.rglob("*")] == ["into", "recipe.yaml"]


def test_two_names_of_one_file_are_an_error(tmp_path: Path) -> None:
    store = Listed(["recipe.yaml", "a", "a/b"], "x: [a, a/b]")
    with pytest.raises(UserError, match="'a/b' can't be fetched: another file has this name"):
        gather.gather(store, "s3://b", "recipe.yaml", tmp_path)


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "data").symlink_to(tmp_path / "out")
    store = Listed(["recipe.yaml", "data/x"], "x: data/x")
    with pytest.raises(UserError, match="'data/x' can't be fetched: it leads out of the recipe's"):
        gather.gather(store, "s3://b", "recipe.yaml", tmp_path / "into")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_pattern_that_matches_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "_MATCHING", replace(gather._MATCHING, cpu_s=0.1))
    store = Listed(["recipe.yaml", "a" * 250], f"x: '{'*a' * 100}b'")
    with pytest.raises(UserError, match=r"finding the files that recipe\.yaml names takes more"):
        gather.gather(store, "s3://b", "recipe.yaml", tmp_path)


@pytest.mark.parametrize("kind", ["git", "store"])
def test_a_changed_cache_is_not_used(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, kind: str
) -> None:
    write_recipe(tmp_path / "repository")
    commit(tmp_path / "repository")
    memory.pipe({"/a/recipe.yaml": RECIPE.encode(), "/a/p.j2": b"{{ question }}"})
    found = fetch(f"git+file://{tmp_path}/repository" if kind == "git" else "memory://a")
    (found.root / "p.j2").write_text("another prompt")
    again = fetch(found.pinned)
    assert again.file == found.file
    assert (again.root / "p.j2").read_text() == "{{ question }}"
    (found.root / "p.j2").unlink()
    (found.root / "p.j2").symlink_to("/etc/passwd")
    assert (fetch(found.pinned).root / "p.j2").read_text() == "{{ question }}"
    (tmp_path / "repository").rename(tmp_path / "gone")
    memory.store.clear()
    assert fetch(found.pinned).file == found.file, "an unchanged one needs no repository"
    (found.root / "more.txt").write_text("x")
    with pytest.raises(UserError, match=r"can't be fetched|has no file"):
        fetch(found.pinned)


def test_a_repository_too_large_to_unpack_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygen.recipe.remote.git._MOST_FILES", 2)
    write_recipe(tmp_path / "repository")
    commit(tmp_path / "repository")
    with pytest.raises(UserError, match="has 3 files of 0 MiB at"):
        fetch(f"git+file://{tmp_path}/repository")


def test_data_in_a_recipes_folder_stays_small(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(gather, "MOST_BYTES", 2000)
    monkeypatch.setattr(store, "MOST_BYTES", 2000)
    memory.pipe({"/a/recipe.yaml": RECIPE.encode(), "/a/data/q.jsonl": b"x" * 3000})
    with pytest.raises(UserError, match=r"q\.jsonl: .* name its data by a URL in source\.path"):
        fetch("memory://a")
    assert list(cache.iterdir()) == [], "nothing half-fetched stays"


def test_a_recipe_of_the_hub_is_fetched_at_its_commit(tmp_path: Path) -> None:
    write_recipe(tmp_path / "repository" / "r")
    env = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hf"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    program = (
        "import sys\n"
        "from raygen.core.errors import UserError\n"
        "from raygen.recipe.remote.fetch import fetch\n"
        "for text in sys.argv[1:]:\n"
        "    try:\n"
        "        print(fetch(text).pinned)\n"
        "    except UserError as error:\n"
        "        print('error', error)\n"
    )
    references = [
        "hf://datasets/org/name/r/recipe.yaml@v1",
        "hf://datasets/org/name/r",
        "hf://datasets/org/name/other.yaml",
        "hf://datasets/org/elsewhere/r",
    ]
    with served(hub_of(tmp_path / "repository", SHA)) as address:
        done = subprocess.run(
            [sys.executable, "-c", program, *references], env={**env, "HF_ENDPOINT": address},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    pinned = f"hf://datasets/org/name/r/recipe.yaml@{SHA}"
    assert done.stdout.splitlines()[:2] == [pinned, pinned], done.stderr
    missing, nowhere = done.stdout.splitlines()[2:]
    assert missing.startswith("error hf://datasets/org/name has no file 'other.yaml'")
    assert "there is no such repository" in nowhere
    found = fetch(pinned)  # without a hub
    files = {path.relative_to(found.root).as_posix() for path in found.root.rglob("*.*")}
    assert files == {"r/recipe.yaml", "r/p.j2", "r/data/q.jsonl"}


def test_a_local_recipe_extends_a_fetched_one(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    write_recipe(tmp_path / "repository")
    pin = commit(tmp_path / "repository")
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: git+file://{tmp_path}/repository\nrecipe: mine\n"
                    "output: {path: /tmp/anywhere}\n")  # fmt: skip
    recipe = prepare(RecipeRequest(path)).recipe
    assert [one.pin for one in recipe.fetched] == [pin]
    assert recipe.source_base == recipe.fetched[0].root
    path.write_text("extends: memory://nowhere/recipe.yaml\n")
    with pytest.raises(ProblemsError, match=r"mine\.yaml:1:1: extends: memory://nowhere has no"):
        prepare(RecipeRequest(path))
