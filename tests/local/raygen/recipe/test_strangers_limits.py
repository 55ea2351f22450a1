"""A stranger's recipe that is looked at: what it may take, and what the user's process notices."""

from __future__ import annotations

import gzip
import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.core.limited import LimitError
from raygen.planning import strangers
from raygen.recipe.remote import gather
from tests.support.limited_here import look_here
from tests.support.references import QUESTION, RECIPE, commit, write_recipe

MIB = 1024 * 1024
LOOKS = ["validate", "plan", "lock", "graph", "diff"]
ROWS = RECIPE.replace("data/q.jsonl", "data/many.jsonl.gz")
OPS = """\
import os
from pathlib import Path
try:
    {attack}
except (OSError, KeyError):
    raise ValueError("refused") from None
raise ValueError("done")
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_recipe(tmp_path / "repository")
    return tmp_path / "repository"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), env={"COLUMNS": "200"})


def look(command: str, reference: str, *more: str) -> Result:
    return run(command, reference, *([reference] if command == "diff" else []), *more)


def many_rows(repository: Path, rows: int = 600_000) -> str:
    """A small file of very many rows, and the reference of the recipe that reads it."""
    line = json.dumps(QUESTION).encode() + b"\n"
    (repository / "data" / "many.jsonl.gz").write_bytes(gzip.compress(line * rows, 1))
    (repository / "recipe.yaml").write_text(ROWS)
    commit(repository)
    return f"git+file://{repository}"


@pytest.mark.parametrize("command", LOOKS)
def test_a_recipe_that_takes_memory_is_stopped(
    repository: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = many_rows(repository)
    run("validate", "--help")
    monkeypatch.setattr(strangers, "LIMITS", replace(strangers.LIMITS, memory=160 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = look(command, reference)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert done.exit_code in (1, 2), done.output
    error = done.stderr.splitlines()[-1]
    assert error.startswith(f"Error: looking at {reference} ")
    assert "copy its folder and name the copy" in error
    assert "160 MiB" in error
    assert grown < 60 * 1024, "in KiB: the user's process takes none of it"


def test_what_ones_own_recipe_extends_is_stopped_too(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = many_rows(repository)
    Path("mine.yaml").write_text(f"extends: {reference}\nrecipe: mine\n")
    monkeypatch.setattr(strangers, "LIMITS", replace(strangers.LIMITS, memory=160 * MIB))
    done = run("validate", "mine.yaml")
    assert (done.exit_code, "looking at mine.yaml " in done.stderr) == (2, True)


def test_a_recipe_that_takes_time_is_stopped(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = many_rows(repository)
    monkeypatch.setattr(strangers, "LIMITS", replace(strangers.LIMITS, cpu_s=1.5))
    done = run("plan", reference)
    assert (done.exit_code, "takes more than 1.5 s of computing" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", LOOKS)
def test_a_file_of_the_home_folder_is_not_read(
    repository: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command != "validate":
        look_here(monkeypatch)
    (repository / "recipe.yaml").write_text(RECIPE.replace("data/q.jsonl", "~/secret.jsonl"))
    commit(repository)
    done = look(command, f"git+file://{repository}")
    assert done.exit_code == 2
    assert "'~/secret.jsonl' is a path of somebody's home folder" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="these fences are Linux's")
@pytest.mark.parametrize(
    "attack",
    [
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], os.environ)",
        "Path({here!r}, 'written').touch()",
        "Path({cache!r}, 'written').touch()",
        "os.environ['PLANTED']",
        "Path({home!r}, '.ssh', 'id_rsa').read_text()",
        "os.listdir({home!r})",
        "Path({here!r}, 'mine.txt').read_text()",
        "Path('/proc', str(os.getppid()), 'environ').read_bytes()",
        "Path('/etc/shadow').read_bytes()",
    ],
)
def test_code_that_is_loaded_for_it_is_fenced_in(
    repository: Path, tmp_path: Path, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hole in a library would let it do: here the code is in a file of ops."""
    monkeypatch.setenv("PLANTED", "sk-planted-0123456789")
    reference = f"git+file://{repository}@{commit(repository)}"
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_rsa").write_text("a key")
    Path("mine.txt").write_text("mine")
    monkeypatch.setenv("HOME", str(home))
    where = {"here": str(Path.cwd()), "cache": str(tmp_path / "cache"), "home": str(home)}
    ops = tmp_path / "trusted" / "strange_ops.py"
    ops.parent.mkdir()
    ops.write_text(OPS.format(attack=attack.format(**where)))
    done = run("validate", reference, "--trust", str(ops))
    assert (done.exit_code, "ValueError: refused" in done.stderr) == (2, True), done.output
    assert not list(tmp_path.glob("*/written"))


def test_a_good_recipe_is_looked_at_as_ones_own_is(repository: Path) -> None:
    commit(repository)
    reference = f"git+file://{repository}"
    for command in ("graph", "plan"):
        strange, own = run(command, reference), run(command, str(repository))
        assert strange.exit_code == own.exit_code == 0, strange.output
        assert strange.stdout == own.stdout
    planned = json.loads(run("plan", reference, "--json").stdout)
    assert planned["hash"] in strange.stdout
    assert planned["nodes"][0]["params"]["n"] == 2
    locked = json.loads(run("lock", reference, "--json").stdout)
    assert locked["lock"]["source"]["rows"] == 1
    assert "same" in run("diff", reference, str(repository)).stdout


def test_a_student_of_a_stranger_is_checked(repository: Path) -> None:
    wrong = RECIPE + "train: {student: s, version: 1, model: 'bundled:tiny', optim: {lr: -1}}\n"
    (repository / "recipe.yaml").write_text(wrong)
    commit(repository)
    done = run("validate", f"git+file://{repository}")
    assert (done.exit_code, "lr: found -1" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("strange", "code", "why"),
    [
        (True, 2, "a fetched recipe reads its own files and"),
        (False, 0, "mine.yaml: valid, 1 node"),
    ],
)
def test_what_a_recipe_extends_is_fetched_for_it(
    repository: Path, tmp_path: Path, strange: bool, code: int, why: str
) -> None:
    """By the user's process, since git can't be started in the other one."""
    write_recipe(tmp_path / "base")
    commit(tmp_path / "base")
    own = tmp_path / "here" / "mine.yaml"
    above = repository / "recipe.yaml" if strange else own
    above.write_text(f"extends: git+file://{tmp_path}/base\nrecipe: mine\n")
    commit(repository)
    done = run("validate", f"git+file://{repository}" if strange else str(own))
    assert (done.exit_code, why in done.output) == (code, True), done.output


def test_a_large_recipe_is_taken_apart_in_a_process_with_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Files:
        def read(self, path: str) -> bytes:
            return ("a: [" + "{b: c}, " * 90_000 + "]").encode()

        def names(self) -> list[str]:
            return ["recipe.yaml"]

    small = replace(gather._READING, memory=30 * MIB)
    monkeypatch.setattr(gather, "_READING", small)
    with pytest.raises(LimitError, match=r"reading recipe\.yaml .*30 MiB"):
        gather.gather(Files(), "s3://b", "recipe.yaml", tmp_path)
