"""A fetched recipe on the command line: shown and asked once, named by its pin afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import raygen
from raygen.apply.request import ApplyRequest
from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.planning.preparation import RecipeRequest
from raygen.recipe.remote import cache
from raygen.recipe.remote.fetch import fetch
from tests.support.limited_here import look_here
from tests.support.references import RECIPE, commit, write_recipe


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    look_here(monkeypatch)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_recipe(tmp_path / "repository")
    commit(tmp_path / "repository")
    return tmp_path / "repository"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "200"})


def test_a_fetched_recipe_needs_consent_before_its_first_run_only(repository: Path) -> None:
    reference = f"git+file://{repository}"
    pin = fetch(reference).pin
    refused = run("preview", reference, "-n", 1)
    assert refused.exit_code == 2
    assert "has never run here. Run it? Nobody can answer here; --yes stands for" in refused.stderr
    for shown in (
        f"from  {reference}", f"pin   {pin}", "prompt: {file: p.j2}",
        "reads    rows: data/q.jsonl, which came with it", "sends    nothing:",
        "runs     engine teacher: scripted by fake", "runs     op sample_rationales of raygen",
        "writes   nothing but what it shows", "at most  the calls of 1 row",
    ):  # fmt: skip
        assert shown in refused.stderr
    agreed = run("preview", f"{reference}@{pin}", "-n", 1, "--yes")
    assert (agreed.exit_code, "prompt: {file: p.j2}" in agreed.stderr) == (0, True)
    again = run("preview", reference, "-n", 1)
    assert (again.exit_code, again.stderr.splitlines()[0].split(": ")[0]) == (0, reference)
    assert "prompt: {file: p.j2}" not in again.stderr
    (repository / "recipe.yaml").write_text(RECIPE.replace("default: 2", "default: 3"))
    commit(repository)
    assert run("preview", reference, "-n", 1).exit_code == 2, "another commit is another recipe"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        *(pytest.param(t, marks=pytest.mark.slow) for t in ("", "[]", '{"pinned": "x"}', "\xff")),
    ],
)
def test_a_damaged_agreement_needs_consent_again(repository: Path, text: str) -> None:
    found = fetch(f"git+file://{repository}")
    cache.remember_agreement(found)
    assert cache.has_agreed(found)
    (file,) = (found.root.parent / "agreed").iterdir()
    file.write_bytes(text.encode("latin-1"))
    assert not cache.has_agreed(found)
    file.unlink()
    (repository / "agreed.json").write_text(json.dumps(found.to_json()))
    file.symlink_to(repository / "agreed.json")
    assert not cache.has_agreed(found)
    cache.remember_agreement(found)
    assert cache.has_agreed(found)


def test_looking_at_a_fetched_recipe_asks_nothing(repository: Path) -> None:
    reference = f"git+file://{repository}"
    valid = run("validate", reference)
    assert valid.exit_code == 0
    assert re.fullmatch(r"/\S+/recipe.yaml: valid, 1 node\n", valid.stdout)
    assert run("graph", reference).exit_code == 0
    planned = run("plan", reference, "--json")
    assert (planned.exit_code, json.loads(planned.stdout)["recipe"]) == (0, "shared")


def test_what_a_local_recipe_extends_needs_consent_too(repository: Path) -> None:
    pin = fetch(f"git+file://{repository}").pin
    Path("mine.yaml").write_text(f"extends: git+file://{repository}@{pin}\nrecipe: mine\n")
    refused = run("preview", "mine.yaml", "-n", 1)
    assert refused.exit_code == 2
    assert "prompt: {file: p.j2}" in refused.stderr
    assert "recipe: mine" not in refused.stderr, "the user's own needs no showing"
    assert run("preview", "mine.yaml", "-n", 1, "--yes").exit_code == 0
    assert run("preview", "mine.yaml", "-n", 1).exit_code == 0
    (repository / "mine.yaml").write_text("recipe: x\n")
    Path("plain.yaml").write_text(RECIPE)
    assert "never run here" not in run("preview", "plain.yaml").stderr


def test_signs_that_turn_a_text_round_are_shown(repository: Path) -> None:
    text = RECIPE.replace("recipe: shared", 'recipe: "sha\u202ered" # \u200b')
    (repository / "recipe.yaml").write_text(text)
    commit(repository)
    shown = run("preview", f"git+file://{repository}", "-n", 1).stderr
    assert r'recipe: "sha\u202ered" # \u200b' in shown


def test_what_is_sent_where_is_shown(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    text = RECIPE.replace(
        '{model: scripted, backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}}',
        r'{model: "m\e[8m", backend: openai, args: {base_url: "http://127.0.0.1:9/v1"}}',
    )
    (repository / "recipe.yaml").write_text(text)
    commit(repository)
    shown = run("preview", f"git+file://{repository}", "-n", 1).stderr
    assert "runs     engine teacher: m\u241b[8m by openai" in shown
    address = "http://127.0.0.1:9/v1, which is in your own network"
    assert f"sends    prompts with the rows to {address}, with no key (engine teacher)" in shown
    assert "\x1b[8m" not in shown


def test_a_key_that_a_stranger_may_use_is_shown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-planted-0123456789")
    text = RECIPE.replace(
        '{model: scripted, backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}}',
        '{model: m, backend: openai, args: {base_url: "https://1.1.1.1/v1", api_key_env: MY_KEY}}',
    )
    (repository / "recipe.yaml").write_text(text)
    commit(repository)
    refused = run("preview", f"git+file://{repository}", "-n", 1)
    assert (refused.exit_code, "--allow-env MY_KEY allows it" in refused.stderr) == (2, True)
    shown = run("preview", f"git+file://{repository}", "-n", 1, "--allow-env", "MY_KEY").stderr
    assert "to https://1.1.1.1/v1, with your key MY_KEY (engine teacher)" in shown
    assert "planted" not in shown


def test_yes_needs_a_pin(repository: Path) -> None:
    reference = f"git+file://{repository}"
    pinned = f"{reference}@{fetch(reference).pin}#recipe.yaml"
    refused = run("preview", reference, "-n", 1, "--yes")
    assert refused.exit_code == 2
    assert f"name it as {pinned}, or leave out --yes" in refused.stderr
    Path("mine.yaml").write_text(f"extends: {reference}@main\nrecipe: mine\n")
    inner = run("apply", "mine.yaml", "--yes")
    assert f"write {pinned} where you extend it" in inner.stderr
    with pytest.raises(UserError, match="--yes agrees to a fetched recipe that is pinned"):
        raygen.load(reference).preview(1, yes=True)
    assert run("preview", pinned, "-n", 1, "--yes").exit_code == 0


def test_what_a_run_may_take_is_shown(repository: Path) -> None:
    open_end = run("apply", f"git+file://{repository}").stderr
    assert "expected  about 1 row, 1 calls" in open_end
    assert "at most   no limit set; --budget tokens=N" in open_end
    assert f"writes    the dataset: {Path.cwd()}/out/shared" in open_end
    limited = run("apply", f"git+file://{repository}", "--budget", "tokens=1000").stderr
    assert "at most   1,000 tokens" in limited


def test_python_asks_by_an_error_and_takes_yes(repository: Path) -> None:
    pin = fetch(f"git+file://{repository}").pin
    recipe = raygen.load(f"git+file://{repository}@{pin}", n=1)
    assert recipe.validate()
    with pytest.raises(UserError, match="has never run here"):
        recipe.preview(1)
    assert len(recipe.preview(1, yes=True).rows) == 1
    assert len(recipe.preview(1).rows) == 1


def test_a_run_is_named_by_the_pin_that_it_had(repository: Path) -> None:
    found = fetch(f"git+file://{repository}@main")
    request = ApplyRequest(RecipeRequest(found.file, {"n": "3"}, fetched=found), out="x")
    pinned = f"git+file://{repository}@{found.pin}#recipe.yaml"
    assert request.words == [pinned, "--set", "n=3", "--out", "x"]


def test_a_fetched_recipe_is_compared_with_what_builds_on_it(repository: Path) -> None:
    reference = f"git+file://{repository}"
    Path("mine.yaml").write_text(
        f"extends: {reference}\nrecipe: mine\n"
        "params: {n: {default: 5}}\noutput: {path: out}\n"
    )
    done = run("diff", reference, "mine.yaml", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [one["key"] for one in found["sections"]["params"]] == ["params.n.default"]
