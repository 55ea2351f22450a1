"""A student beside its teacher: what files record, what a teacher says when asked, the figures."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch
from click.testing import CliRunner, Result

from streamtrain.cli.main import main
from streamtrain.config.student import StudentConfig
from streamtrain.errors import InputError
from streamtrain.evaluation.fidelity import compare_with_teacher, fidelity_table
from streamtrain.evaluation.metrics import score_predictions
from streamtrain.evaluation.records import read_records
from streamtrain.heldout.prediction import Prediction
from streamtrain.heldout.questions import Question, read_questions
from streamtrain.heldout.teacher_answers import TeacherAnswer
from streamtrain.models.student import load_student, model_source
from streamtrain.run.spec import RunSpec
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress
from tests.local.streamtrain.analysis.test_compare import compare, make_run
from tests.local.streamtrain.analysis.test_compare import write_record as keep

CLASSES = ("cold", "hot", "neither")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def soft(**chances: float) -> dict[str, float]:
    return {name: math.log(chance) for name, chance in chances.items()}


def pair(name: str, first: TeacherAnswer | None, second: TeacherAnswer | None) -> list[Question]:
    return [
        Question(f"{name}?", ("a", "b"), 0, name, "original", teacher_answer=first),
        Question(f"{name}!", ("a", "b"), 1, name, "counterfactual", teacher_answer=second),
    ]


def test_agreement_and_divergence_of_originals_and_counterfactuals() -> None:
    sure, other = TeacherAnswer(0, (0.9, 0.1), "t"), TeacherAnswer(1, (0.2, 0.8), "t")
    questions = [
        *pair("x", sure, other),
        *pair("y", sure, None),
        *pair("z", TeacherAnswer(0), other),
    ]
    predictions = [
        Prediction(0, (0.6, 0.4)),
        Prediction(0, (0.7, 0.3)),
        Prediction(1, (0.5, 0.5)),
        Prediction(1, (0.1, 0.9)),
        Prediction(None),
        Prediction(1),
    ]
    found = compare_with_teacher(questions, predictions)
    assert found is not None
    assert (found.teachers, found.untold, found.whole.questions) == (("t",), 1, 5)
    assert found.original is not None
    assert found.counterfactual is not None
    assert (found.original.agreement, found.counterfactual.agreement) == (1 / 3, 1 / 2)
    assert found.whole.agreement == 2 / 5
    pairs = [((0.9, 0.1), (0.6, 0.4)), ((0.2, 0.8), (0.7, 0.3)), ((0.9, 0.1), (0.5, 0.5))]
    teacher, student = (torch.tensor(side).log() for side in zip(*pairs, strict=True))
    kl = torch.nn.functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
    assert found.whole.divergence is not None
    assert found.whole.divergence.questions == 3
    assert found.whole.divergence.mean == pytest.approx(kl.mean().item(), abs=1e-6)
    assert found.original.divergence is not None
    assert found.original.divergence.mean == pytest.approx(kl[[0, 2]].mean().item(), abs=1e-6)
    # Of the pairs, x alone has two divergences; drawn whole, one draw is x's mean or y's.
    low, high = found.whole.divergence.low, found.whole.divergence.high
    ends = sorted([kl[:2].mean().item(), kl[2].item()])
    assert (low, high) == pytest.approx(tuple(ends), abs=1e-6)


def test_without_pairs_there_is_one_figure_and_without_a_teacher_none() -> None:
    questions = [
        Question("x", ("a", "b"), 0, teacher_answer=TeacherAnswer(1)),
        Question("y", ("a", "b"), 0),
    ]
    found = compare_with_teacher(questions, [Prediction(1, (0.2, 0.8))] * 2)
    assert found is not None
    assert (found.original, found.counterfactual, found.whole.divergence) == (None, None, None)
    assert (found.whole.agreement, found.untold) == (1.0, 1)
    silent = score_predictions(questions[1:], [Prediction(0)])
    assert silent.fidelity is None
    assert "fidelity" not in silent.to_json()


def test_an_option_that_the_student_rules_out_costs_much_but_not_everything() -> None:
    questions = [Question("x", ("a", "b"), 0, teacher_answer=TeacherAnswer(0, (0.5, 0.5)))]
    found = compare_with_teacher(questions, [Prediction(1, (0.0, 1.0))])
    assert found is not None
    assert found.whole.divergence is not None
    assert 300 < found.whole.divergence.mean < 400


def test_soft_labels_come_as_text_or_object_and_in_any_order(tmp_path: Path) -> None:
    logs = soft(b=0.75, a=0.25)
    row = {"question": "q", "choices": ["a", "b"], "answer": 0, "soft_labels_teacher": "m"}
    rows = [{**row, "soft_labels": logs}, {**row, "soft_labels": json.dumps(logs)}, row]
    answers = [one.teacher_answer for one in read_questions(write(tmp_path / "set.jsonl", rows))]
    assert answers[0] == answers[1]
    assert answers[0] is not None
    assert (answers[0].choice, answers[0].teacher) == (1, "m")
    assert answers[0].probabilities == pytest.approx((0.25, 0.75))
    assert answers[2] is None


def test_options_of_other_rows_that_parquet_adds_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "choices": ["a", "b"], "answer": 0, "soft_labels": soft(a=0.5, b=0.5)},
        {"question": "r", "choices": ["c", "d"], "answer": 0, "soft_labels": soft(c=0.1, d=0.9)},
    ]
    path = tmp_path / "set.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [one.teacher_answer and one.teacher_answer.choice for one in read_questions(path)] == [
        0,
        1,
    ]
    maps = pyarrow.array([list(soft(a=0.3, b=0.7).items())], pyarrow.map_("string", "double"))
    table = pyarrow.Table.from_pylist([{k: rows[0][k] for k in ("question", "choices", "answer")}])
    pyarrow.parquet.write_table(table.append_column("soft_labels", maps), path)
    (only,) = read_questions(path)
    assert only.teacher_answer is not None
    assert only.teacher_answer.probabilities == pytest.approx((0.3, 0.7))


def test_a_counterfactual_has_its_own_soft_labels_or_none(tmp_path: Path) -> None:
    row = {
        "text": "It is warm.",
        "label": "hot",
        "cf_text": "It is icy.",
        "cf_label": "cold",
        "soft_labels": soft(cold=0.1, hot=0.9),
        "soft_labels_teacher": "m",
    }
    both = {**row, "cf_soft_labels": soft(cold=0.8, hot=0.2)}
    path = write(tmp_path / "set.jsonl", [row, both])
    answers = [one.teacher_answer for one in read_questions(path, ("cold", "hot"))]
    assert [one and (one.choice, one.teacher) for one in answers] == [
        (1, "m"),
        None,
        (1, "m"),
        (0, "m"),
    ]


@pytest.mark.parametrize("value", [1, "B", "blue", "1"])
def test_a_recorded_prediction_reads_as_an_answer_does(tmp_path: Path, value: Any) -> None:
    row = {"question": "q", "choices": ["red", "blue"], "answer": 0, "predicted": value}
    if value == "1":
        with pytest.raises(InputError, match="row 1: predicted can't be read"):
            read_questions(write(tmp_path / "set.jsonl", [row]))
        return
    (only,) = read_questions(write(tmp_path / "set.jsonl", [row]))
    assert only.teacher_answer == TeacherAnswer(1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 0.25, "b": 0.75}, "add up to 3.4; expected log-probabilities"),
        ({"a": -0.1}, "soft_labels has a; expected a log-probability for each of a, b"),
        ({"a": None, "b": None}, "soft_labels has nothing"),
        ({"a": -0.1, "b": "x"}, "expected finite"),
        ({"a": 0.0, "b": -math.inf}, "expected finite"),
        ("{", "not JSON"),
        ([0.1, 0.9], "expected an object"),
    ],
)
def test_soft_labels_that_are_none_name_their_row(tmp_path: Path, value: Any, message: str) -> None:
    good = {"question": "q", "choices": ["a", "b"], "answer": 0}
    path = write(tmp_path / "set.jsonl", [good, {**good, "soft_labels": value}])
    with pytest.raises(InputError, match=r"1 of 2 rows don't fit .*: row 2: ") as caught:
        read_questions(path)
    assert message in str(caught.value)


@pytest.fixture
def classifier(tiny_model: Path, tiny_classifier: Path, tmp_path: Path) -> Path:
    """A run that left a random classifier with the tokenizer of `tiny_model`."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(1)
    folder = tmp_path / "base"
    sizes = BertConfig.from_pretrained(tiny_classifier).to_dict() | {"vocab_size": 400}
    BertModel(BertConfig.from_dict(sizes)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    config = StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(folder),
            "kind": "classifier",
            "tune": {"method": "full"},
            "data": {"labels": ["hot", "neither", "cold"], "max_input": 60},
        }
    )
    student = load_student(model_source(config), config.tune, torch.device("cpu"))
    out = tmp_path / "run"
    out.mkdir()
    write_outcome(RunSpec(config, str(folder), "d", out, None), student, TrainProgress({}), None)
    return out


TEXTS = [
    {
        "id": str(number),
        "text": f"Keep milk in the fridge {number}",
        "label": "cold",
        "cf_text": "The sky is blue because light is scattered",
        "cf_label": "neither",
    }
    for number in range(3)
]


def ask(run: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["eval", str(run), *options])


def test_a_teacher_with_other_tokens_is_run_and_kept(
    classifier: Path, tiny_classifier: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    held = write(tmp_path / "held.jsonl", TEXTS)
    done = ask(classifier, "--data", str(held), "--teacher", str(tiny_classifier))
    assert done.exit_code == 0, done.output
    accuracy, fidelity = done.stdout.split("\n\n")
    assert "accuracy" in accuracy
    rows = [line.split() for line in fidelity.splitlines()[2:]]
    assert [row[2:4] for row in rows] == [["all", "6"], ["original", "3"], ["counterfactual", "3"]]
    assert rows[0][4] == "0"
    (record,) = read_records(classifier / "evaluations")
    model = AutoModelForSequenceClassification.from_pretrained(tiny_classifier)
    ids = AutoTokenizer.from_pretrained(tiny_classifier)(TEXTS[0]["text"], return_tensors="pt")
    cold, hot, neither = model.eval()(**ids).logits[0].softmax(-1).tolist()
    answer = record.answers[0]
    assert answer["teacher"]["probabilities"] == pytest.approx([hot, neither, cold], abs=1e-5)
    found = record.figures["fidelity"]
    assert found["teachers"] == [str(tiny_classifier)]
    same = [one["choice"] == one["teacher"]["choice"] for one in record.answers]
    assert found["whole"]["agreement"] == sum(same) / 6
    kl = [
        sum(
            p * math.log(p / q)
            for p, q in zip(one["teacher"]["probabilities"], one["probabilities"], strict=True)
        )
        for one in record.answers
    ]
    assert found["whole"]["divergence"]["mean"] == pytest.approx(sum(kl) / 6)
    assert found["counterfactual"]["divergence"]["mean"] == pytest.approx(sum(kl[1::2]) / 3)


def test_a_table_without_probabilities_has_no_column_for_them() -> None:
    questions = [Question("x", ("a", "b"), 0, teacher_answer=TeacherAnswer(1))]
    shown = fidelity_table({"held": score_predictions(questions, [Prediction(1)]).to_json()})
    assert shown is not None
    assert shown.columns[-1] == "agreement"
    assert shown.rows[0][:-1] == ("held", "teacher", "all", "1", "0")
    silent = score_predictions([Question("y", ("a", "b"), 0)], [Prediction(1)])
    assert fidelity_table({"held": silent.to_json()}) is None


@pytest.mark.parametrize("form", [None, "Where is the sky blue? {{ text }}"])
def test_a_student_is_faithful_to_itself(
    classifier: Path, tmp_path: Path, form: str | None
) -> None:
    settings = classifier / "final" / "student.json"
    data = json.loads(settings.read_text())
    settings.write_text(json.dumps({**data, "data": {**data["data"], "input": form}}))
    held = write(tmp_path / "held.jsonl", TEXTS)
    done = ask(classifier, "--data", str(held), "--teacher", str(classifier), "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)["fidelity"]["whole"]
    assert (figures["agreement"], figures["divergence"]["mean"]) == (
        1.0,
        pytest.approx(0, abs=1e-6),
    )


def test_a_teacher_of_other_classes_is_refused(
    classifier: Path, tiny_classifier: Path, tmp_path: Path
) -> None:
    settings = classifier / "final" / "student.json"
    data = json.loads(settings.read_text())
    data["data"]["labels"] = ["warm", "neither", "cold"]
    settings.write_text(json.dumps(data))
    held = write(tmp_path / "held.jsonl", [{"text": "Hm.", "label": "warm"}])
    done = ask(classifier, "--data", str(held), "--teacher", str(tiny_classifier))
    assert done.exit_code == 2
    assert "its classes are cold, hot, neither; expected those of data.labels (warm" in done.stderr
    assert not (classifier / "evaluations").exists()


def test_only_a_classifier_is_held_against_a_model(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", "a", [True])
    held = tmp_path / "held.jsonl"
    write(held, [{"question": "q", "choices": ["a", "b"], "answer": 0}])
    done = ask(run, "--data", str(held), "--teacher", "m")
    assert done.exit_code == 2
    assert "this student is a causal; record its teacher's answers in the file" in done.stderr


def test_runs_side_by_side_show_their_fidelity_to_each_teacher(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, name, [True]) for name in ("one", "two", "three")]
    for run, teacher in zip(runs, ("big", "big", "/m/huge"), strict=True):
        answer = TeacherAnswer(0, (0.9, 0.1), teacher)
        questions = [*pair("x", answer, answer), *pair("y", answer, None)]
        answers = [Prediction(choice, (0.5, 0.5)) for choice in (0, 1, 0, 1)]
        keep(run / "evaluations", "pairs", questions, score_predictions(questions, answers))
    head, one, *_, chance = csv.reader(compare(*runs, "--format", "csv").stdout.splitlines())
    told_columns = [name for name in head if "agreement" in name or "KL" in name]
    assert told_columns[:2] == ["pairs, agreement with big", "pairs, KL from big"]
    assert told_columns[4] == "pairs, counterfactual, agreement with big"
    assert len(told_columns) == 12
    cells = dict(zip(head, one, strict=True))
    assert cells["pairs, agreement with big"].startswith("66.7%")
    assert cells["pairs, original, agreement with big"].startswith("100.0%")
    kl = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert cells["pairs, KL from big"].startswith(f"{kl:.3f}")
    assert cells["pairs, agreement with huge"] == ""
    assert len(chance) == len(head)
