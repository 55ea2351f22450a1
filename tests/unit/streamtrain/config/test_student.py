"""The student's file: what is read, what is refused, and where a problem is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.config.document import ProblemsError
from streamtrain.cli.main import main
from streamtrain.config.student import (
    StudentConfig,
    override,
    parse_config,
    problem_path,
    read_document,
)
from streamtrain.errors import InputError
from streamtrain.run.spec import RunOptions, make_run_spec, refuse_used_output

MINIMAL = "student: small\nversion: 1\nmodel: some/model\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "student.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, *settings: str) -> StudentConfig:
    return parse_config(override(read_document(write(folder, text)), settings))


def test_the_shortest_student_has_the_documented_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.kind == "causal"
    assert (config.tune.method, config.tune.targets) == ("lora", "all-linear")
    assert (config.data.rationale, config.data.pack) == ("after", False)
    assert config.epochs == 1


def test_max_steps_replaces_epochs(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL + "optim: {max_steps: 5}\n").epochs is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: {epoch: 3}", "did you mean 'epochs'"),
        ("optim: {epochs: 3, max_steps: 4}", "give one"),
        ("optim: {warmup: 1.5}", "whole number of steps"),
        ("tune: {method: full, r: 8}", "remove r"),
        ("objective: {weights: {rationale: 0, label: 0}}", "nothing would be learned"),
        ("data: {rationale: none}\nobjective: {weights: {label: 0}}", "nothing is learned"),
        ("data: {views: {positiv: 1}}", "did you mean 'positive'"),
        ("workers: 0", "at least 1"),
        ("kind: classifier", "needs data.labels"),
        ("evaluate: {samples: 30}", "samples needs report"),
        (
            "kind: classifier\ndata: {labels: [a, b]}\nevaluate: {report: a.jsonl, samples: 3}",
            "a vote needs a student that writes",
        ),
        ("objective: {label_share: 0.2}", "needs data.rationale: task"),
        (
            "data: {rationale: task}\nobjective: {counterfactual_share: 0.5}",
            "are two ways; use one",
        ),
        ("kind: classifier\ndata: {labels: [a, a]}", "each once"),
        ("kind: classifier\ndata: {labels: [a, b], pack: true}", "pack of data belong"),
        ("kind: classifier\ndata: {labels: [a, b]}\nobjective: {loss: lm}", "use ce or kd"),
        ("kind: classifier\ndata: {labels: [a, b]}\nobjective: {paired: 1}", "needs data.pairs"),
        ("stream: {reuse: 2}", "found starved: wait"),
        ("stream: {starved: replay, reuse: 3}", "passes over a row 1 times in all"),
        ("evaluate: {patience: 3}", "patience need select"),
        ("evaluate: {select: a.jsonl}", "select needs every"),
        ("evaluate: {select: a.jsonl, every: 2, threshold: 0.1}", "threshold needs patience"),
        ("objective: {alpha: 20}", "alpha belong to loss: kd"),
        ("objective: {loss: kd}", "needs teacher"),
        ("objective: {loss: ce}", "loss: ce, and paired, belong to kind: classifier"),
        ("objective: {paired: 1}", "and paired, belong to kind: classifier"),
        ("data: {labels: [a, b]}", "belongs to kind: classifier"),
        ("data: {marker: ' x'}", "marker: "),
        (
            "data: {input: '{{ question }} {{ answer }}'}",
            "reads answer; expected question, choices",
        ),
        ("data: {input: '{{ question }} {{ rationale }}'}", "which don't tell its answer"),
        ("data: {input: '{{ question'}", "line 1 of the template"),
        ("data: {input: '{{ question | shout }}'}", "No filter named 'shout'"),
        ("data: {input: '{{ choices }}'}", "never shows {{ question }}"),
        ("data: {input: '{{ question }}', control: {positive: a}}", "never shows {{ control }}"),
        ("data: {input: '{{ question }}', rationale: task}", "never shows {{ task }}"),
        (
            "kind: classifier\ndata: {labels: [a, b], input: '{{ question }}'}",
            "reads question; expected text alone",
        ),
        (
            "kind: classifier\ndata: {labels: [a, b], chat: true}",
            "chat of data belong",
        ),
        ("data: {pairs: true}\noptim: {batch: 7}", "needs an even optim.batch; found 7"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProblemsError, match=message):
        load(tmp_path, MINIMAL + text + "\n")


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, "student: x\nversion: 2\nmodle: a\noptim: {lr: -1}\n")
    assert len(caught.value.problems) == 4


def test_a_setting_overrides_a_nested_key(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL, "optim.lr=1e-3", "data.views.negative=0.5", "workers=2")
    assert (config.optim.lr, config.data.views, config.workers) == (1e-3, {"negative": 0.5}, 2)


def test_a_bad_setting_is_shown_where_it_was_given(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=r"--set optim\.lr=fast:1:1: lr: found the text 'fast'"):
        load(tmp_path, MINIMAL, "optim.lr=fast")
    with pytest.raises(ProblemsError, match="expected KEY=VALUE"):
        load(tmp_path, MINIMAL, "optim.lr")


def test_a_section_of_a_recipe_keeps_its_positions(tmp_path: Path) -> None:
    text = "recipe: r\ntrain:\n  student: small\n  version: 1\n  model: m\n  kind: seq3seq\n"
    document = read_document(write(tmp_path, text), "train")
    with pytest.raises(ProblemsError) as caught:
        parse_config(document)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (6, 3)
    assert problem_path(document, problem) == ["kind"]
    with pytest.raises(ProblemsError, match="section 'student' is missing"):
        read_document(tmp_path / "student.yaml", "student")


def test_check_answers_as_json_with_paths_and_code_2(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "optim: {lr: 0}\nevaluate: {report: no.jsonl}\n")
    done = CliRunner().invoke(main, ["fit", str(path), "--check", "--json"])
    assert done.exit_code == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["path"] == ["optim", "lr"]
    done = CliRunner().invoke(
        main, ["fit", str(path), "--check", "--json", "--set", "optim.lr=1e-4"]
    )
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["path"] == ["evaluate", "report"]
    assert "no such file" in problem["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data is missing"),
        (["--data", "d", "--follow", "--set", "optim.schedule=cosine"], "needs a known length"),
        (["--data", "d", "--set", "model=./nothing"], "is no folder"),
        (["--data", "d", "--set", "model=bundled:smollm2-135m"], "did you mean 'smollm2-135m-ins"),
    ],
)
def test_bad_input_ends_with_code_2_and_one_message(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(main, ["fit", str(write(tmp_path, MINIMAL)), *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_paths_are_relative_to_the_base_and_out_wins(tmp_path: Path) -> None:
    questions = tmp_path / "held.jsonl"
    questions.write_text('{"question": "q", "choices": ["a", "b"], "answer": "b"}\n')
    text = MINIMAL + "evaluate: {report: held.jsonl}\noutput: runs/one\n"
    document = read_document(write(tmp_path, text))
    config = parse_config(document)
    job = make_run_spec(document, config, tmp_path, RunOptions("data"))
    assert (job.report, job.out) == (questions, tmp_path / "runs/one")
    other = make_run_spec(document, config, tmp_path, RunOptions("data", out=tmp_path / "else"))
    assert other.out == tmp_path / "else"


def test_a_teacher_is_located_only_where_it_is_used(tmp_path: Path) -> None:
    text = MINIMAL + (
        "kind: classifier\ndata: {labels: [a, b]}\n"
        "objective: {loss: kd, teacher: {model: ./judge, revision: r1}}\n"
    )
    document = read_document(write(tmp_path, text))
    config = parse_config(document)
    assert config.objective.teacher is not None
    assert config.objective.teacher.name == "./judge@r1"
    assert make_run_spec(document, config, tmp_path, RunOptions("data")).teacher is None
    document = override(document, ["objective.soft_labels=teacher"])
    with pytest.raises(ProblemsError, match=r"teacher: .*judge is no folder"):
        make_run_spec(document, parse_config(document), tmp_path, RunOptions("data"))
    (tmp_path / "judge").mkdir()
    job = make_run_spec(document, parse_config(document), tmp_path, RunOptions("data"))
    assert job.teacher == str(tmp_path / "judge")


def test_a_used_output_is_refused_unless_resumed(tmp_path: Path) -> None:
    document = read_document(write(tmp_path, MINIMAL))
    options = RunOptions("data", out=tmp_path / "run")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "owner").write_text("0123456789ab")
    with pytest.raises(InputError, match="--resume"):
        refuse_used_output(make_run_spec(document, parse_config(document), tmp_path, options))
    resumed = RunOptions("data", out=tmp_path / "run", resume=True)
    refuse_used_output(make_run_spec(document, parse_config(document), tmp_path, resumed))
