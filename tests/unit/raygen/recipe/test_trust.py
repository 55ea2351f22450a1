"""What a fetched recipe may not do, each with its place; the user's own values are free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.config.document import ProblemsError
from raygen.core.access import private_host
from raygen.core.errors import UserError
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare
from raygen.recipe.load import load_recipe
from raygen.recipe.profile import load_profile
from raygen.recipe.remote.fetch import fetch
from raygen.recipe.remote.ref import Fetched
from tests.support.limited_here import look_here
from tests.support.references import QUESTION, RECIPE, copy_repository, write_recipe

STUDENT = "student: s\nversion: 1\nmodel: o/m\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("raygen.recipe.remote.fetch.fetch_git", copy_repository)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    write_recipe(folder / "r")
    (folder / "shared").mkdir()
    (folder / "shared" / "q.jsonl").write_text(json.dumps(QUESTION) + "\n")
    (tmp_path / "secret.jsonl").write_text(json.dumps({**QUESTION, "question": "secret"}) + "\n")
    (tmp_path / "secret.j2").write_text("secret")
    return folder


def fetched(repository: Path, old: str = "", new: str = "") -> Fetched:
    assert old in RECIPE
    path = repository / "r" / "recipe.yaml"
    path.write_text(RECIPE.replace(old, new) if old else RECIPE)
    return fetch(f"git+file://{repository}#r")


def check(found: Fetched, **more: object) -> PreparedRecipe:
    return prepare(RecipeRequest(found.file, fetched=found, **more))  # type: ignore[arg-type]


def problems_of(found: Fetched, **more: object) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        check(found, **more)
    return [str(problem).removeprefix(f"{found.file}:") for problem in caught.value.problems]


def link(repository: Path, name: str, target: str | Path) -> None:
    (repository / "r" / name).symlink_to(target)


def test_a_fetched_recipe_reads_its_own_files_and_writes_under_the_current_folder(
    repository: Path, here: Path
) -> None:
    assert check(fetched(repository)).output == str(here / "out" / "shared")
    found = check(fetched(repository, "path: data/q.jsonl", "path: ../shared/*.jsonl"))
    assert found.recipe.source.path == "../shared/*.jsonl"
    up = check(fetched(repository, "path: out/shared", "path: ../out/x"))
    assert up.output == str(here / "out" / "x")


def test_a_name_is_short_enough_for_a_file(repository: Path) -> None:
    (problem,) = problems_of(fetched(repository, "recipe: shared", f"recipe: {'ä' * 150}"))
    assert problem.startswith("1:1: ")
    assert problem.endswith("is 300 bytes long; the name of a fetched recipe has at most 200")


@pytest.mark.parametrize(
    "path",
    [
        "{tmp}/secret.jsonl",
        "file://{tmp}/secret.jsonl",
        "FILE:///{tmp}/secret.jsonl",
        "local://{tmp}/secret.jsonl",
        "~/secret.jsonl",
        "../../secret.jsonl",
        "../../*.jsonl",
        "data/../../../secret.jsonl",
        "link.jsonl",
        "linked/secret.jsonl",
        "linked/*.jsonl",
        "li*.jsonl",
        "data",
        "simplecache::file://{tmp}/secret.jsonl",
        "a b::file://{tmp}/secret.jsonl",
        "memory://secret.jsonl",
        "github://o:r@main/x.jsonl",
    ],
)
def test_no_source_outside_what_was_fetched(repository: Path, tmp_path: Path, path: str) -> None:
    link(repository, "link.jsonl", tmp_path / "secret.jsonl")
    link(repository, "linked", "../..")
    found = fetched(repository, "path: data/q.jsonl", f"path: '{path.format(tmp=tmp_path)}'")
    (problem,) = problems_of(found)
    assert problem.startswith("4:10: ")
    assert "fetched recipe" in problem


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://localhost:9200/rows.jsonl", "localhost (127.0.0.1)"),
        ("http://127.0.0.1/rows.jsonl", "127.0.0.1"),
        ("http://2130706433/rows.jsonl", "2130706433 (127.0.0.1)"),
        ("http://0/rows.jsonl", "0 (0.0.0.0)"),
        ("https://10.0.0.7/rows.jsonl", "10.0.0.7"),
        ("http://192.168.1.1/*.jsonl", "192.168.1.1"),
        ("http://169.254.169.254/latest/meta-data/x.jsonl", "169.254.169.254"),
    ],
)
def test_no_source_in_a_private_network(repository: Path, url: str, told: str) -> None:
    found = fetched(repository, "path: data/q.jsonl", f"path: '{url}'")
    (problem,) = problems_of(found)
    assert problem.startswith("4:10: ")
    assert f"{told} is in a private network" in problem
    assert private_host(url, "https://somewhere.example/recipe.yaml") is not None
    assert private_host(url, url) is None, "what lies beside a recipe may be named by it"


@pytest.mark.parametrize("host", ["[::1]", "[::ffff:10.0.0.7]", "[fd00::1]", "[ff02::1]"])
def test_no_source_by_the_address_of_a_private_host(repository: Path, host: str) -> None:
    url = f"http://{host}/rows.jsonl"
    found = fetched(repository, "path: data/q.jsonl", f"path: '{url}'")
    assert all("a fetched recipe" in problem for problem in problems_of(found))
    assert private_host(url, "") is not None


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700::1111]"])
def test_what_anybody_can_reach_is_no_private_host(host: str) -> None:
    assert private_host(f"https://{host}/rows.jsonl", "") is None


def test_no_questions_in_a_private_network(repository: Path) -> None:
    train = (
        "train: {student: s, version: 1, model: o/m, evaluate: {report: 'http://10.0.0.7/q.jsonl'}}"
    )
    found = fetched(repository, "recipe: ", f"{train}\nrecipe: ")
    assert any("10.0.0.7 is in a private network" in one for one in problems_of(found))


@pytest.mark.parametrize(
    "name", ["{tmp}/secret.j2", "../../secret.j2", "../p.j2", "link.j2", "loop.j2"]
)
def test_no_prompt_outside_the_recipes_folder(repository: Path, tmp_path: Path, name: str) -> None:
    link(repository, "link.j2", tmp_path / "secret.j2")
    link(repository, "loop.j2", "loop.j2")
    (repository / "p.j2").write_text("x")
    found = fetched(repository, "{file: p.j2}", f"{{file: '{name.format(tmp=tmp_path)}'}}")
    (problem,) = problems_of(found)
    assert problem.startswith("10:71: file ")


@pytest.mark.parametrize(
    "path",
    [
        "{tmp}/out",
        "~/out",
        "../../out",
        "out/../../../x",
        "file://{tmp}/x",
        "s3://theirs/x",
        ".",
        "..",
        ".ssh",
        "out/.git",
    ],
)
def test_no_output_but_under_the_current_folder(
    repository: Path, tmp_path: Path, path: str
) -> None:
    found = fetched(repository, "path: out/shared", f"path: '{path.format(tmp=tmp_path)}'")
    (problem,) = problems_of(found)
    assert problem.startswith("11:28: ")
    assert problem.endswith("name another place yourself: --set output.path=FOLDER")
    mine = check(found, overrides={"output.path": str(tmp_path / "mine")})
    assert mine.output == str(tmp_path / "mine")
    moved = prepare(RecipeRequest(found.file, fetched=found).moved(f"{tmp_path}/mine: 2"))
    assert moved.output == f"{tmp_path}/mine: 2", "as by --out"


@pytest.mark.parametrize(
    ("engine", "place"),
    [
        ("{model: '{tmp}/model', backend: fake}", "7:13"),
        ("{model: ../../model, backend: fake}", "7:13"),
        ("{model: ~/model, backend: fake}", "7:13"),
        ("{model: mine, backend: fake}", "7:13"),
        ("{model: o/m, backend: vllm, args: {tokenizer: mine}}", "7:47"),
        ("{model: o/m, backend: vllm, args: {tokenizer: '{tmp}/my tokens'}}", "7:47"),
        ("{model: o/m, backend: vllm, args: {hf_config_path: a/../../x}}", "7:47"),
    ],
)
def test_no_model_or_argument_of_this_machine(
    repository: Path, tmp_path: Path, here: Path, engine: str, place: str
) -> None:
    (here / "mine").mkdir()
    old = RECIPE.splitlines()[6].strip().removeprefix("teacher: ")
    found = fetched(repository, old, engine.replace("{tmp}", str(tmp_path)))
    assert [p for p in problems_of(found) if p.startswith(f"{place}: ") and "fetched" in p]


@pytest.mark.parametrize(
    ("student", "place"),
    [
        ("evaluate: {report: ../../secret.jsonl}", "4:12"),
        ("evaluate: {report: link.jsonl}", "4:12"),
        ("evaluate:\n  select: '{tmp}/secret.jsonl'\n  every: 1", "5:3"),
        ("objective: {loss: kd, teacher: {model: ~/m}}", "4:33"),
        ("output: '{tmp}/x'", "4:1"),
        ("output: s3://theirs/x", "4:1"),
    ],
)
def test_no_student_that_reaches_out(
    repository: Path, tmp_path: Path, student: str, place: str
) -> None:
    link(repository, "link.jsonl", tmp_path / "secret.jsonl")
    text = STUDENT + student.replace("{tmp}", str(tmp_path)) + "\n"
    (repository / "r" / "student.yaml").write_text(text)
    found = fetched(repository, "task: multiple", "train: student.yaml\ntask: multiple")
    file = found.file.parent / "student.yaml"
    assert [p for p in problems_of(found) if p.startswith(f"{file}:{place}: ") and "fetched" in p]
    inline = "\n".join(f"  {line}" for line in text.splitlines())
    found = fetched(repository, "output: {from", f"train:\n{inline}\noutput: {{from")
    line, column = map(int, place.split(":"))
    start = f"{line + 11}:{column + 2}: "
    assert [p for p in problems_of(found) if p.startswith(start) and "fetched" in p]


@pytest.mark.parametrize(
    "reference",
    ["{tmp}/other.yaml", "../../other.yaml", "~/other.yaml", "link.yaml", "linked",
     "git+file://{tmp}/other", "memory://x/recipe.yaml", "file://{tmp}/other.yaml",
     "http://127.0.0.1:9/recipe.yaml", "git+https://localhost/other"],
)  # fmt: skip
def test_no_recipe_of_this_machine_is_extended(
    repository: Path, tmp_path: Path, reference: str
) -> None:
    (tmp_path / "other.yaml").write_text(RECIPE)
    link(repository, "link.yaml", tmp_path / "other.yaml")
    (repository / "r" / "linked").mkdir()
    link(repository, "linked/recipe.yaml", tmp_path / "other.yaml")
    said = reference.format(tmp=tmp_path)
    found = fetched(repository, "recipe: shared", f"extends: '{said}'\nrecipe: shared")
    (problem,) = problems_of(found)
    assert problem.startswith("1:1: extends: ")
    assert "fetched recipe" in problem


def test_no_name_is_a_path(repository: Path) -> None:
    found = fetched(repository, "recipe: shared", "recipe: ../../shared")
    assert problems_of(found)[0].startswith("1:1: '../../shared' is a path; the name of a fetched")


def test_no_variant_or_param_leads_out(repository: Path, tmp_path: Path) -> None:
    variants = f"variants: {{bad: {{source.path: {tmp_path}/secret.jsonl}}}}\noutput: {{from"
    found = fetched(repository, "output: {from", variants)
    check(found)
    (problem,) = problems_of(found, variant="bad")
    assert problem.startswith("11:18: ")
    found = fetched(repository, "path: data/q.jsonl", "path: 'data/${up}'")
    found.file.write_text(found.file.read_text().replace("{n:", "{up: {type: str, default: x}, n:"))
    (problem,) = problems_of(found, overrides={"up": "../../../secret.jsonl"})
    assert "leads out of what was fetched" in problem


def test_the_recipe_itself_is_no_link(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(RECIPE)
    link(repository, "link.yaml", tmp_path / "other.yaml")
    with pytest.raises(UserError, match="is a link out of what was fetched"):
        fetch(f"git+file://{repository}#r/link.yaml")


def test_programs_of_a_model_run_for_a_stranger_only_where_that_is_allowed(
    repository: Path,
) -> None:
    node = "  judged: {op: check, from: rationales, how: [code, exact], column: rationale}\n"
    text = RECIPE.replace("output: {from: rationales", f"{node}output: {{from: judged")
    (problem,) = problems_of(fetched(repository, RECIPE, text))
    assert "node 'judged' of a fetched recipe would run programs that a model wrote" in problem
    assert "--allow-code" in problem
    found = fetched(repository, RECIPE, text)
    assert check(found, allow_code=True).reference.words[1:] == ["--allow-code"]
    assert load_recipe(repository / "r" / "recipe.yaml").name == "shared", "one's own is free"


def test_two_recipes_that_run_programs_are_compared_where_that_is_allowed(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_here(monkeypatch)
    node = "  judged: {op: check, from: rationales, how: [code, exact], column: rationale}\n"
    text = RECIPE.replace("output: {from: rationales", f"{node}output: {{from: judged")
    (repository / "r" / "recipe.yaml").write_text(text)
    words = ["diff", f"git+file://{repository}#r", str(repository / "r")]
    refused = CliRunner().invoke(main, words)
    assert (refused.exit_code, "--allow-code" in refused.stderr) == (2, True)
    allowed = CliRunner().invoke(main, [*words, "--allow-code"])
    assert allowed.exit_code == 0, allowed.output


def test_a_key_goes_nowhere_that_a_stranger_names(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    monkeypatch.setenv("OTHER_TOKEN", "planted")
    old = RECIPE.splitlines()[6].strip().removeprefix("teacher: ")
    theirs = "{model: m, backend: openai, args: {base_url: 'https://theirs/v1'}}"
    found = fetched(repository, old, theirs)
    (problem,) = problems_of(found)
    assert problem == (
        "7:47: a fetched recipe would send the environment variable OPENAI_API_KEY to "
        "https://theirs/v1; --allow-env OPENAI_API_KEY allows it"
    )
    assert check(found, allowed=("OPENAI_API_KEY",)).reference.words[1:] == [
        "--allow-env", "OPENAI_API_KEY",
    ]  # fmt: skip
    profile = tmp_path / "mine.yaml"
    profile.write_text("profile: p\nengines: {teacher: {args: {base_url: 'https://mine/v1'}}}\n")
    check(found, profile=profile)
    other = fetched(
        repository, old, "{model: m, backend: openai, args: {api_key_env: OTHER_TOKEN}}"
    )
    assert "would send the environment variable OTHER_TOKEN" in problems_of(other)[0]
    header = "{model: m, backend: openai, args: {headers: {X-Mine: {env: OTHER_TOKEN}}}}"
    (problem,) = problems_of(fetched(repository, old, header))
    assert "would send the environment variable OTHER_TOKEN to https://api.openai.com" in problem
    check(fetched(repository, old, "{model: m, backend: openai}"))


def test_every_path_of_a_list_is_held_to_the_same_rules(repository: Path) -> None:
    lists = "path: [data/q.jsonl, ../shared/*.jsonl]"
    found = check(fetched(repository, "path: data/q.jsonl", lists))
    assert found.recipe.source.paths == ("data/q.jsonl", "../shared/*.jsonl")
    assert found.recipe.source_access is not None
    bad = "path: [data/q.jsonl, ../../secret.jsonl, 'http://127.0.0.1/x.jsonl']"
    problems = problems_of(fetched(repository, "path: data/q.jsonl", bad))
    assert [problem.partition(" ")[0] for problem in problems] == ["4:31:", "4:51:"]


def test_the_paths_of_a_list_are_said_in_one_file(repository: Path) -> None:
    params = "params: {rows: {type: str, default: data/q.jsonl}, "
    lists = "path: ['${rows}', data/q.jsonl]"
    text = RECIPE.replace("params: {", params).replace("path: data/q.jsonl", lists)
    found = fetched(repository, RECIPE, text)
    check(found)
    with pytest.raises(ProblemsError, match="said in another file than the first path"):
        check(found, overrides={"rows": "own.jsonl"})


def test_what_the_user_says_is_free(repository: Path, tmp_path: Path, here: Path) -> None:
    params = (
        "params: {rows: {type: str, default: data/q.jsonl}, prompt: {type: str, default: p.j2}, "
    )
    text = RECIPE.replace("params: {", params).replace("path: data/q.jsonl", "path: '${rows}'")
    found = fetched(repository, RECIPE, text.replace("{file: p.j2}", '{file: "${prompt}"}'))
    assert check(found).recipe.source_base == found.file.parent
    check(found, overrides={"rows": str(tmp_path / "secret.jsonl")})
    (here / "own.jsonl").write_text(json.dumps(QUESTION) + "\n")
    check(found, overrides={"rows": "own.jsonl"})
    check(found, overrides={"source.path": "own.jsonl"})
    (here / "own.j2").write_text("Mine: {{ question }}")
    for key, value in (("graph.rationales.prompt", "{file: own.j2}"), ("prompt", "own.j2")):
        recipe = check(found, overrides={key: value}).recipe
        assert recipe.document.data["graph"]["rationales"]["prompt"] == "Mine: {{ question }}"


def test_a_local_recipe_is_free_and_what_it_extends_is_not(
    repository: Path, tmp_path: Path, here: Path
) -> None:
    theirs = fetched(repository, "path: out/shared", f"path: {tmp_path}/theirs")
    mine = here / "mine.yaml"
    mine.write_text(f"extends: {theirs.pinned}\nsource: {{path: {tmp_path}/secret.jsonl}}\n")
    with pytest.raises(ProblemsError) as caught:
        prepare(RecipeRequest(mine))
    assert [(p.file, p.line) for p in caught.value.problems] == [(str(theirs.file), 11)]
    mine.write_text(mine.read_text() + f"output: {{path: {tmp_path}/mine}}\n")
    found = prepare(RecipeRequest(mine))
    assert found.output == str(tmp_path / "mine")
    assert found.recipe.source.path == f"{tmp_path}/secret.jsonl"


def test_a_recipe_reads_no_environment(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "secret")
    for written in ("${PLANTED}", "${env:PLANTED}"):
        found = fetched(repository, "recipe: shared", f"recipe: '{written}'")
        assert "unknown param" in problems_of(found)[0]
    plain = fetched(repository, "{file: p.j2}", '"$PLANTED %PLANTED% {{ question }}"')
    node = load_recipe(plain.file, fetched=plain).graph["rationales"]
    assert node.model_extra is not None
    assert node.model_extra["prompt"] == "$PLANTED %PLANTED% {{ question }}"


def test_an_op_comes_from_a_file_that_the_user_trusts_only(repository: Path) -> None:
    (repository / "r" / "their_op.py").write_text("raise SystemExit('ran')\n")
    found = fetched(repository, "op: sample_rationales", "op: their_op.run")
    assert "unknown op 'their_op.run'" in problems_of(found)[0]


def test_a_profile_of_the_users_is_read_as_it_is(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("profile: p\nengines: {'*': {args: {latency: 0.0}}}\n")
    found = fetched(repository)
    profile = load_profile(tmp_path / "p.yaml")
    assert (
        load_recipe(found.file, profile=profile, fetched=found).engines["teacher"].args["latency"]
        == 0
    )
