"""A recipe's variants from the command line: one, all, and what keeps them apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen import apply as apply_module
from raygen.apply.run import ApplyRequest, ApplyUI
from raygen.cli.main import main
from raygen.views.summary import RunSummary

RECIPE = """\
recipe: small
version: 1
source: {path: q.jsonl}
task: free_text
graph:
  noted: {op: map, from: source, set: {note: question}}
output: {from: noted, path: out}
train: {student: s, version: 1, model: "bundled:smollm2-135m-instruct"}
"""


def write(folder: Path, variants: str) -> Path:
    (folder / "q.jsonl").write_text(json.dumps({"question": "Why?"}) + "\n")
    path = folder / "recipe.yaml"
    path.write_text(RECIPE + f"variants: {variants}\n")
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[ApplyRequest]:
    """Stands in for `apply`: keeps the requests, runs nothing; the variant `bad` fails."""
    seen: list[ApplyRequest] = []

    def stand_in(request: ApplyRequest, ui: ApplyUI) -> RunSummary:
        seen.append(request)
        outcome: Any = "failed" if request.reference.variant == "bad" else "done"
        return RunSummary("small", "r", "p", "out", "l", outcome, 1, 1, 0, 0, 0, 1, 0, 0, 1.0)

    monkeypatch.setattr(apply_module, "apply", stand_in)
    return seen


def test_validate_checks_every_variant_and_says_where_each_is_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, "{a: {train.optim.epochs: 2}, b: {train.tune.r: 4}}")
    good = run("validate", path, "--variant", "all")
    assert good.stdout.splitlines() == [
        f"{path} (a): valid, 1 node",
        f"{path} (b): valid, 1 node",
    ]
    path = write(tmp_path, "{a: {output.pth: x}, b: {graph.noted.opp: y}}")
    bad = run("validate", path, "--variant", "all")
    assert bad.exit_code == 2
    assert [line.split(": ", 1)[1] for line in bad.stderr.splitlines()[:2]] == [
        "unknown key 'pth'; did you mean 'path'?",
        "unknown key 'opp'; expected one of: set",
    ]
    assert run("validate", path, "--variant", "c").stderr.startswith(f"{path}:9:1: there is no")


def test_apply_all_runs_them_in_order_and_stops_at_the_first_that_fails(
    tmp_path: Path, applied: list[ApplyRequest]
) -> None:
    path = write(tmp_path, "{a: {}, bad: {}, c: {}}")
    result = run("apply", path, "--variant", "all", "--yes", "--json")
    assert result.exit_code == 1
    assert [request.reference.variant for request in applied] == ["a", "bad"]
    assert [answer["outcome"] for answer in json.loads(result.stdout)] == ["done", "failed"]
    assert applied[0].words[:3] == [str(path), "--variant", "a"]


def test_variants_that_would_replace_each_other_are_refused(
    tmp_path: Path, applied: list[ApplyRequest]
) -> None:
    other = "graph.noted.set: {note: \"'x'\"}"
    path = write(tmp_path, f"{{a: {{}}, b: {{{other}}}}}")
    result = run("apply", path, "--variant", "all", "--yes")
    assert result.exit_code == 2
    assert "'a' and 'b' make different datasets in one folder" in result.stderr
    assert applied == []
    path = write(tmp_path, f"{{a: {{}}, b: {{{other}, output.path: out-b}}}}")
    assert run("apply", path, "--variant", "all", "--yes").exit_code == 0
    assert run("apply", path, "--variant", "all", "--yes", "--out", "o").exit_code == 2


def test_all_of_no_variants_is_an_error(tmp_path: Path) -> None:
    result = run("validate", write(tmp_path, "{}"), "--variant", "all")
    assert result.exit_code == 2
    assert "the recipe has no variants" in result.stderr


def test_a_bad_student_is_a_problem_of_the_recipe(tmp_path: Path) -> None:
    path = write(tmp_path, "{}")
    path.write_text(
        path.read_text().replace("version: 1, model", "version: 1, kind: casual, model")
    )
    result = run("validate", path)
    assert result.exit_code == 2
    assert f"{path}:8:" in result.stderr
