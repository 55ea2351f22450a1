"""The command line on small recipes with the fake engine: output, exit codes, start-up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen import apply as apply_module
from raygen.apply.run import ApplyRequest, ApplyUI
from raygen.cli.main import main
from raygen.runtime.counts import Snapshot
from raygen.runtime.endings import Outcome
from raygen.views.summary import RunSummary

RECIPE = """\
recipe: small
version: 1
params:
  n: {type: int, default: 3, help: rationales per question}
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher: {model: scripted, backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: "${n}"}
  correct: {op: filter, from: rationales, where: predicted == answer, reason: wrong_answer}
output: {from: correct, path: out}
"""
QUESTION = {"question": "What falls in winter?", "choices": ["sand", "snow"], "answer": "snow"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    rows = [{**QUESTION, "question": f"What falls in winter {i}?"} for i in range(4)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "80"})


def change(recipe: Path, old: str, new: str) -> Path:
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    return recipe


def test_a_valid_recipe(recipe: Path) -> None:
    result = run("validate", recipe)
    assert result.exit_code == 0
    assert result.stdout == f"{recipe}: valid, 2 nodes\n"
    assert result.stderr == "source: 100% of 4 rows fit\n"
    assert json.loads(run("validate", recipe, "--json").stdout) == {
        "valid": True,
        "problems": [],
        "hints": [],
        "source": {"checked": 4, "invalid": 0, "first": [], "notes": []},
    }


def test_validate_offline_checks_all_but_the_source(recipe: Path) -> None:
    change(recipe, "path: q.jsonl", "path: gone.jsonl")
    assert run("validate", recipe).exit_code == 2
    result = run("validate", recipe, "--offline")
    assert result.stderr == "source: the source wasn't read\n"
    change(recipe, "engine: teacher", "engine: techer")
    assert run("validate", recipe, "--offline").exit_code == 2


def test_what_a_run_would_refuse_validate_refuses(recipe: Path) -> None:
    (recipe.parent / "q.jsonl").write_text('{"question": "Q?", "choices": ["a"], "answer": 0}\n')
    for command in ("validate", "plan"):
        result = run(command, recipe)
        assert result.exit_code == 2
        assert "1 of 1 rows don't fit the task" in result.output


def test_a_recipe_that_pins_gpus_is_valid_with_a_hint(recipe: Path) -> None:
    change(recipe, "backend: fake,", "backend: fake, gpus: 2,")
    result = run("validate", recipe)
    assert result.exit_code == 0
    assert f"hint: {recipe}:8:45: the recipe pins 'teacher' to gpus: 2" in result.stderr
    (hint,) = json.loads(run("validate", recipe, "--json").stdout)["hints"]
    assert hint in json.loads(run("plan", recipe, "--json").stdout)["hints"]


def test_all_problems_at_once_with_their_positions(recipe: Path) -> None:
    change(recipe, "engine: teacher", "engine: techer")
    change(recipe, "{from: correct,", "{from: corect,")
    result = run("validate", recipe)
    assert result.exit_code == 2
    assert result.stdout == ""
    *problems, last = result.stderr.splitlines()
    assert last == "2 problems; nothing was started"
    assert problems[0].startswith(f"{recipe}:10:")
    assert "'teacher'" in problems[0]
    assert problems[1].startswith(f"{recipe}:12:")
    answer = json.loads(run("validate", recipe, "--json").stdout)
    assert [problem["line"] for problem in answer["problems"]] == [10, 12]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["validate", "none.yaml"], "none.yaml"),
        (["plan", "RECIPE", "--set", "n"], "expected KEY=VALUE"),
        (["plan", "RECIPE", "--set", "m=3"], "unknown key 'm'"),
        (["plan", "RECIPE", "--set", "n=many"], "'many'"),
        (["plan", "RECIPE", "--limit", "0"], "--limit"),
        (["plan", "RECIPE", "--profile", "none.yaml"], "none.yaml"),
        (["plan", "RECIPE", "--trust", "none.py"], "none.py"),
        (["plan", "RECIPE", "--set", "source.path=none.jsonl"], "none.jsonl"),
        (["status", "FOLDER"], "no dataset"),
        (["ops", "filtr"], "did you mean 'filter'?"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_input_is_a_message_and_exit_code_2(
    recipe: Path, words: list[str], message: str
) -> None:
    names = {"RECIPE": str(recipe), "FOLDER": str(recipe.parent)}
    result = run(*(names.get(word, word) for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_plan_for_people_and_for_programs(recipe: Path) -> None:
    result = run("plan", recipe)
    assert result.exit_code == 0
    assert "rationales  sample_rationales  source" in result.stdout
    plan = json.loads(run("plan", recipe, "--set", "n=5", "--json").stdout)
    assert plan["nodes"][0]["params"]["n"] == 5
    assert plan["columns"]["rationale"] == "string"


def test_a_preview_feeds_the_next_plan(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYGEN_CACHE", str(recipe.parent / "cache"))
    before = json.loads(run("plan", recipe, "--json").stdout)["estimate"]
    assert (before["rows"], before["nodes"]["rationales"]["basis"]) == (4, "assumed")
    assert before["prompt_tokens"] > 0
    assert run("preview", recipe, "-n", 2).exit_code == 0
    after = json.loads(run("plan", recipe, "--json").stdout)["estimate"]
    assert after["nodes"]["rationales"]["basis"] == "preview"
    assert after["pace"] == "preview"
    assert "examples about 12, from 4 rows" in " ".join(run("plan", recipe).stdout.split())


def test_a_graph_in_the_terminal_and_in_files(recipe: Path) -> None:
    assert "└── rationales  sample_rationales · teacher" in run("graph", recipe).stdout
    drawing = recipe.parent / "graph.mmd"
    assert run("graph", recipe, "--out", drawing).exit_code == 0
    assert drawing.read_text().startswith("flowchart")
    picture = drawing.with_suffix(".svg")
    assert run("graph", recipe, "--out", picture).stdout == f"{picture}: 2 nodes\n"
    assert picture.read_text().startswith("<svg")
    result = run("graph", recipe, "--out", drawing.with_suffix(".png"))
    assert result.exit_code == 2
    assert "expected .svg or .mmd" in result.stderr


def test_an_ops_prompt_can_be_copied() -> None:
    text = run("ops", "sample_rationales", "--prompt").stdout
    assert text.startswith("{#")
    assert "{{ stem }}" in text
    assert "no prompt of its own" in run("ops", "filter", "--prompt").stdout
    assert run("ops", "--prompt").exit_code == 2


def test_preview_shows_rows_and_writes_nothing(recipe: Path) -> None:
    before = sorted(recipe.parent.rglob("*"))
    result = run("preview", recipe, "-n", 2)
    assert result.exit_code == 0
    assert "row 2 of 2: kept" in result.stdout
    assert "Cold. So the answer is: (b)" in result.stdout
    rows = json.loads(run("preview", recipe, "-n", 1, "--set", "n=2", "--json").stdout)
    assert [len(row["calls"][0]["completions"]) for row in rows] == [2]
    assert sorted(recipe.parent.rglob("*")) == before


def test_a_preview_whose_engine_is_lost(recipe: Path) -> None:
    lost = '[{match: ".", reply: {error: unavailable}}]'
    result = run("preview", recipe, "--set", f"engines.teacher.args.answers={lost}")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_ops_for_people_and_for_programs() -> None:
    assert "sample_rationales" in run("ops").stdout
    assert "hidden | shown" in run("ops", "sample_rationales").stdout
    assert json.loads(run("ops", "filter", "--json").stdout)["params"]["required"] == ["where"]
    assert len(json.loads(run("ops", "--json").stdout)) >= 5


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces apply by one that records its request; `outcome` decides how it ends."""
    seen: dict[str, Any] = {"outcome": "done"}

    def stand_in(request: ApplyRequest, ui: ApplyUI) -> RunSummary:
        seen["request"] = request
        seen["answer"] = ui.confirm("Replace all of them?")
        ui.note("a note")
        ui.update(Snapshot("generating", source=4, kept=1, pending=3), None)
        outcome: Outcome = seen["outcome"]
        return RunSummary(
            "small", str(request.reference.path), "p", "out", "out/logs/run.log", outcome,
            4, 4, 0, 0, 0, 12, 10, 20, 1.0,
        )  # fmt: skip

    monkeypatch.setattr(apply_module, "apply", stand_in)
    return seen


def test_apply_hands_over_every_option(
    recipe: Path, applied: Mapping[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    result = run(
        "apply", recipe, "--set", "n=5", "--set", "recipe=x=y", "--profile", "p.yaml",
        "--limit", 7, "--out", "o", "--train", "s.yaml", "--fresh", "--yes", "--trust", "a.py",
        "--address", "auto",
    )  # fmt: skip
    assert result.exit_code == 0
    request = applied["request"]
    assert request.reference.path == recipe
    assert request.reference.overrides == {"n": "5", "recipe": "x=y"}
    assert request.reference.profile == Path("p.yaml")
    assert request.reference.limit == 7
    assert request.reference.trusted == (Path("a.py"),)
    assert (str(request.out), str(request.train)) == ("o", "s.yaml")
    assert (request.fresh, request.address, applied["answer"]) == (True, "auto", True)
    assert "Done: small" in result.stdout
    assert "a note" in capfd.readouterr().err


def test_apply_json_leaves_the_standard_output_to_the_answer(
    recipe: Path, applied: Mapping[str, Any]
) -> None:
    result = run("apply", recipe, "--yes", "--json")
    assert json.loads(result.stdout)["rows"]["kept"] == 4


@pytest.mark.parametrize(("outcome", "code"), [("too_many_failed", 3), ("interrupted", 1)])
def test_apply_exits_as_the_run_ended(
    recipe: Path, applied: dict[str, Any], outcome: Outcome, code: int
) -> None:
    applied["outcome"] = outcome
    assert run("apply", recipe, "--yes").exit_code == code


def test_apply_asks_where_nobody_can_answer(recipe: Path, applied: Mapping[str, Any]) -> None:
    result = run("apply", recipe)
    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_a_preview_shows_a_row_that_does_not_fit_and_why(recipe: Path) -> None:
    good = {"question": "Q?", "choices": ["sand", "snow"], "answer": "snow"}
    rows = [{"question": "Which?", "choices": None, "answer": "snow"}, *[good] * 12]
    (recipe.parent / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = run("preview", recipe, "-n", 2)
    assert shown.exit_code == 0
    assert "row 2 of 2: dropped" in shown.stdout
    assert "source: invalid_row" in shown.stdout
    assert "choices is None; expected a list" in " ".join(shown.stdout.split())


def test_questions_without_answers_take_ops_that_need_none(recipe: Path) -> None:
    rows = [{"question": f"Q{at}?", "choices": ["sand", "snow"]} for at in range(4)]
    (recipe.parent / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    change(recipe, "source: {path: q.jsonl}", "source: {path: q.jsonl, unlabelled: true}")
    refused = run("validate", recipe)
    assert "where reads 'answer', which is not there" in refused.output
    change(recipe, "where: predicted == answer", "where: agreement > 0.5")
    assert "100% of 4 rows fit" in run("validate", recipe).stderr
    done = run("preview", recipe, "-n", 1, "--json")
    (example, *_) = json.loads(done.stdout)[0]["examples"]
    assert (example["label"], example["predicted"], "answer" in example) == (1, 1, False)
    change(recipe, 'n: "${n}"', 'n: "${n}", keep: correct')
    assert "needs column 'answer', which is not there" in run("validate", recipe).output
