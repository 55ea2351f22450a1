"""`streamtrain eval` on a real but tiny student: several sets, views and votes, all kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from raygen.engines.base import EngineSpec
from raygen.engines.registry import start_engine
from streamtrain.cli.main import main
from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig
from streamtrain.config.target import MARKER
from streamtrain.evaluation.predictions import prompt_format
from streamtrain.evaluation.records import read_records
from streamtrain.evaluation.votes import Samples, engine_for, vote_with
from streamtrain.heldout.questions import Question
from streamtrain.models.student import ModelSource, load_student
from streamtrain.run.spec import RunSpec
from streamtrain.tables import TextTable
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress

QUESTIONS = [
    {"question": f"Which is {n}?", "choices": ["none", str(n), "all"], "answer": 1}
    for n in range(4)
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Path:
    """The output folder of a run whose student is random."""
    torch.manual_seed(0)
    config = StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(tiny_model),
            "tune": {"method": "lora", "r": 2},
            "data": {"control": {"positive": "[for]", "negative": "[against]"}, "max_target": 8},
        }
    )
    out = tmp_path / "run"
    out.mkdir()
    tokens = config.data.new_tokens
    student = load_student(ModelSource(str(tiny_model)), config.tune, torch.device("cpu"), tokens)
    for _, parameter in student.trainable():
        torch.nn.init.normal_(parameter, std=0.2)
    write_outcome(
        RunSpec(config, str(tiny_model), "d", out, None), student, TrainProgress({}), None
    )
    return out


def ask(run: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["eval", str(run), *options])


def test_every_set_and_view_is_a_row_and_every_answer_is_kept(run: Path, tmp_path: Path) -> None:
    pairs = [
        {**QUESTIONS[0], "group": "g"},
        {**QUESTIONS[1], "group": "g", "variant": "counterfactual"},
    ]
    near = write(tmp_path / "near.jsonl", QUESTIONS)
    far = write(tmp_path / "far.jsonl", pairs)
    views = ("--view", "positive", "--view", "negative")
    done = ask(run, "--data", str(near), "--data", str(far), *views)
    assert done.exit_code == 0, done.output
    head, _, *rows = done.stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["near", "near.negative", "far", "far.negative"]
    assert "both right" in head
    assert "33.3%" in rows[0]
    records = read_records(run / "evaluations")
    assert [record.name for record in records] == ["far", "far.negative", "near", "near.negative"]
    assert [answer["group"] for answer in records[0].answers] == ["g", "g"]
    assert sum(records[2].right) == records[2].figures["correct"]
    assert len(set(records[2].keys)) == 4
    first, second = (record.answers[0]["probabilities"] for record in records[2:])
    assert sum(first) == pytest.approx(1)
    assert first != second


def test_what_is_written_and_what_is_likely_are_two_evaluations(run: Path, tmp_path: Path) -> None:
    held = write(tmp_path / "held.jsonl", QUESTIONS)
    ask(run, "--data", str(held))
    done = ask(run, "--data", str(held), "--how", "written", "--json")
    assert json.loads(done.stdout)["unparsed"] == 4
    assert [record.name for record in read_records(run / "evaluations")] == ["held", "held.written"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--view", "counterfactual_negative"], "no control token for counterfactual_negative"),
        (["--samples", "3", "--how", "scored"], "leave out --how"),
        (["--data", "other/held.jsonl"], "other/held.jsonl: no such file"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    run: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    held = write(tmp_path / "held.jsonl", QUESTIONS)
    done = ask(run, "--data", str(held), *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (run / "evaluations").exists()


def test_a_classifier_has_one_way_to_answer(run: Path, tmp_path: Path) -> None:
    settings = run / "final" / "student.json"
    data = json.loads(settings.read_text())
    data |= {"kind": "classifier", "data": {"labels": ["a", "b"]}, "objective": {"loss": "ce"}}
    settings.write_text(json.dumps(data))
    held = write(tmp_path / "held.jsonl", QUESTIONS)
    for words in (("--samples", "3"), ("--how", "scored")):
        done = ask(run, "--data", str(held), *words)
        assert done.exit_code == 2
        assert "one way to answer" in done.stderr


def test_two_sets_of_one_name_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    sets = [write(path / "held.jsonl", QUESTIONS) for path in (tmp_path, tmp_path / "other")]
    done = ask(run, "--data", str(sets[0]), "--data", str(sets[1]))
    assert done.exit_code == 2
    assert "several sets are named held" in done.stderr


def test_samples_are_drawn_by_an_engine(run: Path, tmp_path: Path) -> None:
    held = write(tmp_path / "held.jsonl", QUESTIONS[:2])
    words = ("--samples", "3", "--backend", "transformers", "--json")
    done = ask(run, "--data", str(held), *words)
    assert done.exit_code == 0, done.output
    for prediction in json.loads(done.stdout)["predictions"]:
        assert sum(prediction["votes"]) + prediction["unread"] == 3
    assert [record.name for record in read_records(run / "evaluations")] == ["held.vote3"]


def test_an_adapter_with_new_tokens_is_not_for_vllm(run: Path) -> None:
    assert engine_for(run / "final", "causal") == "transformers"


async def test_the_majority_of_the_samples_decides() -> None:
    replies = [f"{MARKER} {label} {MARKER}" for label in ("B", "A", "B", "Z")] + ["no label"]
    refused = {"match": "too long", "reply": {"error": "prompt_too_long"}}
    rule = {"match": "Question", "reply": replies}
    spec = EngineSpec("f", "fake", backend="fake", args={"answers": [refused, rule]})
    engine = await start_engine(spec)
    questions = [Question("Why?", ("a", "b"), 1), Question("too long", ("a", "b"), 1)]
    first, second = await vote_with(engine, questions, prompt_format(DataConfig()), Samples(5))
    assert (first.choice, first.votes, first.unread) == (1, (1, 2), 2)
    assert (second.choice, second.votes, second.unread) == (None, None, 5)


def test_a_table_reads_back_as_csv_and_escapes_for_latex() -> None:
    table = TextTable(("set", "share"), (("a_b", "50.0%"), ('with, "quotes"', "1")))
    rows = list(csv.reader(table.show("csv").splitlines()))
    assert rows == [["set", "share"], ["a_b", "50.0%"], ['with, "quotes"', "1"]]
    assert r"a\_b & 50.0\% \\" in table.show("latex")
    head, line, *_ = table.show("text").splitlines()
    assert (head, line) == ("set             share", "--------------  -----")
