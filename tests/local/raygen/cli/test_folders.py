"""No command writes to a folder, or over a file, that isn't its own: all there stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main as raygen
from streamtrain.cli.main import main as streamtrain
from tests.support.shared_dataset import write_dataset
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe
from tests.unit.raygen.dataset.test_ownership import snapshot, user_files

STUDENT = """\
student: s
version: 1
model: {model}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`recipe.yaml`, its source, and its dataset in `out`; a shared one in `shelf`."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(folder / "shared", keys=range(2))
        make_dataset(write_recipe(folder / "mine", QUIZ, questions(2)))
        CliRunner().invoke(raygen, ["push", "shared/out", "shelf"], catch_exceptions=False)
    (folder / "student.yaml").write_text(STUDENT.format(model=folder))
    return folder


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which they are in."""
    folder = tmp_path / "work"
    user_files(folder)
    (folder / "README.md").write_text("mine\n")
    (folder / "picture.svg").write_text("<svg>mine</svg>\n")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_text("mine\n")
    (folder / "data").mkdir()
    (folder / "data" / "train.parquet").write_text("mine\n")
    monkeypatch.chdir(folder)
    return folder


def run(words: list[str]) -> Result:
    main = streamtrain if words[0] == "streamtrain" else raygen
    return CliRunner().invoke(main, [word for word in words if word != "streamtrain"])


FIT = "streamtrain fit MADE/student.yaml --data MADE/shared/out"
REFUSED = {
    "apply MADE/mine/recipe.yaml --out . --yes": "can't become a dataset of raygen",
    "apply MADE/mine/recipe.yaml --out README.md --yes": "a file or a broken link",
    "apply MADE/mine/recipe.yaml --out . --yes --fresh": "can't become a dataset of raygen",
    "push MADE/shared/out .": "can't become a dataset that `raygen push` wrote",
    "pull MADE/shelf .": "can't become a folder of its own",
    "export MADE/shared/out --format jsonl --out recipe.yaml": "is there already",
    "export MADE/shared/out --format hf --out data": "is there already",
    "report MADE/shared/out --out README.md": "isn't a file that this command wrote",
    "graph MADE/mine/recipe.yaml --out picture.svg": "isn't a file that this command wrote",
    "init --yes --source source/q.jsonl": "is there already",
    "init --op drop_short data": "is there already",
    "card .": "no dataset in",
    "show . --sample 3 --rater jan": "no dataset in",
    f"{FIT} --out .": "can't become a training run of streamtrain",
    f"{FIT} --out . --resume": "can't become a training run of streamtrain",
    f"{FIT} --out MADE/shared/out": "it holds a dataset of raygen",
    "streamtrain eval . --data MADE/mine/q.jsonl": "holds no student",
    "streamtrain lens . --data MADE/mine/q.jsonl --picture picture.svg": "isn't a file that this",
    "streamtrain compare . --picture picture.svg": "isn't a file that this command wrote",
    "streamtrain export . --out data": "holds no student",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_users_folder_is_left_as_it_is(command: str, made: Path, mine: Path) -> None:
    before, there = snapshot(mine), snapshot(made)
    done = run(command.replace("MADE", str(made)).split())
    assert done.exit_code == 2, done.output
    assert REFUSED[command] in done.stderr
    assert snapshot(mine) == before
    assert snapshot(made) == there


def test_apply_says_what_it_found_and_what_to_do(made: Path, mine: Path) -> None:
    done = run(["apply", str(made / "mine" / "recipe.yaml"), "--out", ".", "--yes"])
    assert "can't become a dataset of raygen: it holds other files" in done.stderr
    assert "expected a folder that is new or empty, or that holds a dataset" in done.stderr
    assert "--out DIR" in done.stderr


def test_apply_refuses_a_students_folder_that_is_none(made: Path, mine: Path) -> None:
    """Checked before the first engine: the student would start with the first rows."""
    before = snapshot(mine)
    student = mine.parent / "s.yaml"
    student.write_text(f"{STUDENT.format(model=made)}output: work\n")
    (made / "config.json").write_text("{}")
    recipe = made / "mine" / "recipe.yaml"
    done = run(["apply", str(recipe), "--train", str(student), "--yes"])
    assert done.exit_code == 2, done.output
    assert "can't become a training run of streamtrain" in done.stderr
    assert snapshot(mine) == before


def test_a_lock_does_not_take_the_place_of_a_users_file(made: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, QUIZ, questions(2))
    (tmp_path / "recipe.lock.yaml").write_text("doors: all\n")
    done = run(["lock", str(recipe)])
    assert done.exit_code == 2
    assert (tmp_path / "recipe.lock.yaml").read_text() == "doors: all\n"
    (tmp_path / "recipe.lock.yaml").unlink()
    assert run(["lock", str(recipe)]).exit_code == 0
    assert run(["lock", str(recipe)]).exit_code == 0, "its own is replaced"


@pytest.mark.parametrize(
    "words",
    [
        ["report", "MADE/shared/out", "--out", "out.html"],
        ["graph", "MADE/mine/recipe.yaml", "--out", "out.svg"],
        ["graph", "MADE/mine/recipe.yaml", "--out", "out.mmd"],
    ],
    ids=lambda words: words[-1],
)
def test_what_a_command_wrote_it_writes_anew(words: list[str], made: Path, mine: Path) -> None:
    words = [word.replace("MADE", str(made)) for word in words]
    assert run(words).exit_code == 0
    (first,) = mine.glob("out.*")
    assert run(words).exit_code == 0
    first.unlink()
    first.symlink_to(mine / "README.md")
    assert run(words).exit_code == 2
    assert (mine / "README.md").read_text() == "mine\n"


def test_init_writes_through_no_link(made: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    done = run(["init", str(tmp_path / "recipe.yaml"), "--yes", "--source", "q.jsonl"])
    assert done.exit_code == 2
    assert not (tmp_path / "elsewhere.yaml").exists()


LINKED: dict[str, Callable[[Path], Path]] = {
    "examples": lambda out: next((out / "examples").glob("*.parquet")),
    "log": lambda out: out / "examples" / "_delta_log" / f"{0:020d}.json",
    "table": lambda out: out / "examples",
    "recipe": lambda out: out / "recipe.yaml",
    "plan": lambda out: out / "plan.json",
}


@pytest.mark.parametrize("command", ["export", "push", "report", "card"])
@pytest.mark.parametrize("what", LINKED)
def test_a_link_in_a_dataset_is_not_published(command: str, what: str, tmp_path: Path) -> None:
    """A stranger's dataset whose file is the user's own, by a link."""
    out = Path(write_dataset(tmp_path / "made", keys=[0]).uri)
    path = LINKED[what](out)
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    words = {
        "export": ["export", str(out), "--format", "jsonl", "--out", str(tmp_path / "x.jsonl")],
        "push": ["push", str(out), str(tmp_path / "shelf")],
        "report": ["report", str(out), "--out", str(tmp_path / "r.html")],
        "card": ["card", str(out)],
    }[command]
    if (command, what) in {("export", "recipe"), ("report", "recipe")}:
        pytest.skip("it publishes nothing of the recipe's file")
    before = snapshot(tmp_path)
    done = run(words)
    assert done.exit_code != 0, done.output
    assert "link" in done.stderr
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["data/train-x/../../../secret.parquet", "/etc/passwd", "a\\b"])
def test_a_copy_whose_list_leads_out_is_not_exported(name: str, made: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    assert run(["pull", str(made / "shelf"), str(shelf)]).exit_code == 0
    manifest = json.loads((shelf / "raygen.json").read_text())
    manifest["files"][name] = "0"
    (shelf / "raygen.json").write_text(json.dumps(manifest))
    done = run(["export", str(shelf), "--format", "jsonl", "--out", str(tmp_path / "x")])
    assert done.exit_code == 2
    assert "outside of it" in done.stderr


@pytest.mark.parametrize("name", ["README.md", "recipe.yaml", "data"])
def test_a_link_in_what_was_pushed_is_not_pulled(name: str, made: Path, tmp_path: Path) -> None:
    assert run(["pull", str(made / "shelf"), str(tmp_path / "shelf")]).exit_code == 0
    path = tmp_path / "shelf" / name
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    done = run(["pull", str(tmp_path / "shelf"), str(tmp_path / "back")])
    assert done.exit_code == 1
    assert "link" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "shelf"}


def test_a_push_goes_through_no_link(made: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    shelf = tmp_path / "shelf"
    assert run(["push", str(made / "shared" / "out"), str(shelf)]).exit_code == 0
    for name in ("data", "recipe.yaml"):
        (shelf / name).rename(tmp_path / "mine" / name)
        (shelf / name).symlink_to(tmp_path / "mine" / name)
        before = snapshot(tmp_path)
        assert run(["push", str(made / "shared" / "out"), str(shelf)]).exit_code != 0
        assert snapshot(tmp_path) == before
        (shelf / name).unlink()
        (tmp_path / "mine" / name).rename(shelf / name)


def test_a_push_that_was_cut_short_by_another_program_is_none(made: Path, tmp_path: Path) -> None:
    """A user's own folder in the hub's layout: `data/` and a card."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_text("mine")
    (tmp_path / "README.md").write_text("mine")
    before = snapshot(tmp_path)
    done = run(["push", str(made / "shared" / "out"), str(tmp_path)])
    assert done.exit_code == 2
    assert snapshot(tmp_path) == before
