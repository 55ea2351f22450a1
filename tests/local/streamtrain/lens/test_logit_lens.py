"""When a student knows the label, and what its layers hold at every place."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from raygen.dataset.records import RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from streamtrain.cli.main import main
from streamtrain.config.student import StudentConfig
from streamtrain.data.stream import Cursor
from streamtrain.errors import InputError
from streamtrain.heldout.questions import Question, read_questions
from streamtrain.lens.layers import LayerReader, LensInput
from streamtrain.lens.logit_lens import LabelCurves, common_curves, first_layer_summary, label_curve
from streamtrain.lens.passages import halves, lens_texts
from streamtrain.lens.student import load_lens_student
from streamtrain.models.student import ModelSource, load_student
from streamtrain.run.spec import RunSpec
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress
from tests.local.streamtrain.models.test_seq2seq import family as make_seq2seq
from tests.support.dataset_records import COLUMNS, committer, result

CPU = torch.device("cpu")


def rows(count: int, begin: int = 0) -> list[dict[str, Any]]:
    """Two questions for each number, one for each answer."""
    return [
        {"question": f"Which, {number}, {answer}?", "choices": ["x", "y"], "answer": answer}
        for number in range(begin, begin + count)
        for answer in (0, 1)
    ]


def write(file: Path, lines: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def make_run(model: Path, out: Path, data: str = "none", **settings: Any) -> Path:
    """A run that ended before its first step."""
    given = {"student": "tiny", "version": 1, "model": str(model), "tune": {"method": "lora"}}
    config = StudentConfig.model_validate({**given, **settings})
    out.mkdir()
    student = load_student(ModelSource(str(model), kind=config.kind), config.tune, CPU)
    at = TrainProgress({}, Cursor(plan="plan-a"))
    write_outcome(RunSpec(config, str(model), data, out, None), student, at, None)
    return out


def make_dataset(folder: Path, lines: list[dict[str, Any]]) -> Path:
    columns = {**COLUMNS, "view": "string", "rationale": "string"}
    if "predicted" in lines[0]:
        columns["predicted"] = "integer"
    results: list[RowResult] = []
    for number, line in enumerate(lines):
        one = {
            **line,
            "id": f"id-{number}",
            "node": "think",
            "view": "positive",
            "rationale": "So.",
        }
        results.append(replace(result(str(number), examples=0), examples=(one,)))
    at = Folder.at(str(folder))
    made = committer(at, columns=columns)
    made.commit([write_block(at, results, "plan-a", columns)])
    return folder


def lens(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["lens", *map(str, words)])


def test_a_curve_is_the_probability_of_one_token(tiny_model: Path) -> None:
    reader = LayerReader(load_student(ModelSource(str(tiny_model)), None, CPU))
    passage = LensInput((5, 9, 40))
    logits = reader.logits(reader.states(passage))[:, -1]
    expected = [float(row.exp()[7] / row.exp().sum()) for row in logits]
    assert label_curve(reader, passage, 7) == pytest.approx(expected, rel=1e-4)


def test_only_what_all_answer_rightly_is_looked_at() -> None:
    one = LabelCurves("one", {"a": (0.1, 0.7), "b": (0.2, 0.3)})
    two = LabelCurves("two", {"b": (0.5, 0.9), "c": (0.5, 0.5)})
    assert [each.of for each in common_curves([one, two])] == [{"b": (0.2, 0.3)}, {"b": (0.5, 0.9)}]
    with pytest.raises(InputError, match="no question is answered rightly"):
        common_curves([one, LabelCurves("three", {"c": (0.5, 0.5)})])


def test_a_question_that_is_never_sure_comes_last() -> None:
    curves = LabelCurves("s", {"a": (0.7, 0.1, 0.9), "b": (0.1, 0.2, 0.61), "c": (0.6, 0.6, 0.6)})
    assert curves.first_above(0.6) == [1, 3, None]
    assert first_layer_summary([curves], 0.6).rows == (("s", "3", "3", "3", "3", "never", "1"),)
    assert curves.mean() == pytest.approx([1.4 / 3, 0.3, 2.11 / 3])


def test_the_command_shows_every_layer(tiny_model: Path, tmp_path: Path) -> None:
    out = make_run(tiny_model, tmp_path / "run")
    held = write(tmp_path / "held.jsonl", rows(8))
    done = lens(out, "--data", held, "--csv", "--picture", tmp_path / "a.svg")
    assert done.exit_code == 0, done.output
    head, *layers = csv.reader(done.stdout.splitlines())
    assert head == ["layer", f"tiny ({out})"]
    assert [layer[0] for layer in layers] == ["1", "2"]
    assert "<!-- threshold 0.6 -->" in (tmp_path / "a.svg").read_text("utf-8")


@pytest.mark.parametrize("placement", ["after", pytest.param("before", marks=pytest.mark.slow)])
def test_one_question_is_read_at_every_place(
    tiny_model: Path, tmp_path: Path, placement: str
) -> None:
    out = make_run(tiny_model, tmp_path / "run", data={"rationale": placement, "max_target": 8})
    held = write(tmp_path / "held.jsonl", rows(2))
    done = lens(out, "--data", held, "--question", "3", "--json", "--picture", tmp_path / "a.svg")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    (grid,) = figures["students"]
    assert figures["question"] == "Which, 1, 0?"
    subject = load_lens_student(out)
    question = read_questions(held)[2]
    (answer,) = subject.answers([question])
    passage, options = subject.before_label(question, answer)
    assert len(grid["tokens"]) == len(passage.ids) == len(grid["label"][0]) == len(grid["top"][0])
    # The last place is the one of the curves, and the last layer is the student's own opinion.
    curve = label_curve(subject.reader, passage, options[0][0])
    assert [line[-1] for line in grid["label"]] == pytest.approx(curve, rel=1e-4)
    output = subject.student.model(torch.tensor([passage.ids])).logits[0, -1].softmax(-1)
    assert grid["top"][-1][-1]["probability"] == pytest.approx(float(output.max()), rel=1e-4)
    assert grid["top"][-1][-1]["token"] == subject.student.tokenizer.decode([int(output.argmax())])
    # A long input shows its end.
    found = (tmp_path / "a.svg").read_text("utf-8")
    assert f"<!-- {grid['tokens'][-1].strip()} -->" in found


def test_places_as_a_table_have_a_row_for_each_layer_and_place(
    tiny_model: Path, tmp_path: Path
) -> None:
    out = make_run(tiny_model, tmp_path / "run")
    held = write(tmp_path / "held.jsonl", rows(2))
    head, *cells = csv.reader(lens(out, "--data", held, "--positions", "--csv").stdout.splitlines())
    assert head[:4] == ["student", "place", "token", "layer"]
    assert [cell[3] for cell in cells] == ["1", "2"] * (len(cells) // 2)
    assert "layer" in lens(out, "--data", held, "--positions").stdout


@pytest.mark.parametrize(("number", "what"), [("9", "has 4 questions"), ("0", "not in the range")])
def test_a_question_that_is_not_there_is_refused(
    tiny_model: Path, tmp_path: Path, number: str, what: str
) -> None:
    out = make_run(tiny_model, tmp_path / "run")
    held = write(tmp_path / "held.jsonl", rows(2))
    done = lens(out, "--data", held, "--question", number)
    assert done.exit_code == 2
    assert what in done.stderr


def test_a_classifier_has_no_lens(tmp_path: Path) -> None:
    (tmp_path / "student.json").write_text(
        json.dumps(
            {
                "student": "c",
                "version": 1,
                "model": "m",
                "kind": "classifier",
                "data": {"labels": ["a", "b"]},
            }
        )
    )
    done = lens(tmp_path, "--data", write(tmp_path / "held.jsonl", rows(1)))
    assert done.exit_code == 2
    assert "a classifier has no lens" in done.stderr


def test_a_lens_never_learns_from_what_is_looked_at(tiny_model: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", rows(10))
    out = make_run(tiny_model, tmp_path / "run", str(data))
    subject = load_lens_student(out)
    looked = read_questions(write(tmp_path / "held.jsonl", rows(5)))
    texts = lens_texts(subject, looked, None)
    decode = subject.student.tokenizer.decode
    read = [decode(passage.ids) for passage in (*texts.learned, *texts.held)]
    assert len(read) == 10
    assert all(any(f"Which, {n}," in text for text in read) for n in range(5, 10))
    assert not any(f"Which, {n}," in text for text in read for n in range(5))
    assert all(" So." in text for text in read)
    assert not set(texts.learned) & set(texts.held)


def test_a_lens_learns_from_what_the_student_was_trained_on_alone(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A recorded rationale that led its teacher astray is left out of both."""
    lines = [{**line, "predicted": 0} for line in rows(6)]
    out = make_run(tiny_model, tmp_path / "run", str(make_dataset(tmp_path / "data", lines)))
    looked = read_questions(write(tmp_path / "held.jsonl", rows(1, begin=50)))
    subject = load_lens_student(out)
    texts = lens_texts(subject, looked, None)
    decode = subject.student.tokenizer.decode
    read = [decode(passage.ids) for passage in (*texts.learned, *texts.held)]
    assert len(read) == 6
    assert all(", 0?" in text for text in read)


@pytest.mark.parametrize("family", ["t5", pytest.param("bart", marks=pytest.mark.slow)])
def test_a_decoder_is_looked_at_where_its_target_stands(
    tiny_model: Path, tmp_path: Path, family: str
) -> None:
    model = make_seq2seq(family, tmp_path, tiny_model)
    data = make_dataset(tmp_path / "data", rows(6))
    out = make_run(model, tmp_path / "run", str(data), kind="seq2seq")
    held = write(tmp_path / "held.jsonl", rows(4, begin=50))
    words = (out, "--data", held, "--tuned", "--steps", "2", "--question", "1", "--json")
    done = lens(*words)
    assert done.exit_code == 0, done.output
    (grid,) = json.loads(done.stdout)["students"]
    assert "".join(grid["tokens"][1:]).strip() == "[FIN_LABEL]"
    subject = load_lens_student(out)
    texts = lens_texts(subject, read_questions(held), None)
    decode = subject.student.tokenizer.decode
    assert all("Which, " in decode(one.encoder_ids) for one in texts.learned)
    assert all(decode(one.ids).startswith(" [FIN_LABEL]") for one in texts.learned)
    # A decoder reads one token behind what it writes, so its last one isn't read.
    assert all(1 not in one.ids for one in texts.learned)


def test_a_file_tunes_on_one_half_and_looks_at_the_other(tiny_model: Path, tmp_path: Path) -> None:
    out = make_run(tiny_model, tmp_path / "run")
    held = write(tmp_path / "held.jsonl", rows(10))
    done = lens(out, "--data", held, "--texts", held, "--tuned", "--steps", "2", "--json")
    assert done.exit_code == 0, done.output
    (student,) = json.loads(done.stdout)["students"]
    first, second = halves(read_questions(held))
    assert set(student["questions"]) <= {one.key for one in first}
    assert student["tuned"]["learned"] + student["tuned"]["held"] == len(second)
    assert student["tuned"]["tuned"][-1] == pytest.approx(0, abs=1e-5)


def test_halves_keep_pairs_together_and_need_two_questions() -> None:
    pairs = [Question(f"{n} {k}", ("a", "b"), 0, str(n)) for n in range(6) for k in range(2)]
    first, second = halves(pairs)
    assert len(first) == len(second) == 6
    assert not {one.group for one in first} & {one.group for one in second}
    assert halves(pairs[::-1])[0] == first[::-1]
    with pytest.raises(InputError, match="give more of them"):
        halves(pairs[:2])


def test_a_tuned_lens_is_kept_and_found_again(tiny_model: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", rows(6))
    out = make_run(tiny_model, tmp_path / "run", str(data))
    held = write(tmp_path / "held.jsonl", rows(4, begin=50))
    words = (out, "--data", held, "--tuned", "--steps")
    first = lens(*words, "2")
    assert first.exit_code == 0, first.output
    assert "none of a question that is looked at" in first.stdout
    (folder,) = (out / "lens").iterdir()
    # What is found again is what was kept, not a second learning.
    facts = json.loads((folder / "lens.json").read_text())
    (folder / "lens.json").write_text(json.dumps({**facts, "logit": [7.125, 0.0]}))
    assert "7.125" in lens(*words, "2").stdout
    assert "7.125" not in lens(*words, "3").stdout
    (folder / "translators.safetensors").write_bytes(b"broken")
    done = lens(*words, "2")
    assert done.exit_code == 2
    assert "remove it to tune anew" in done.stderr


def test_another_students_weights_have_another_lens(tiny_model: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", rows(6))
    out = make_run(tiny_model, tmp_path / "run", str(data))
    held = write(tmp_path / "held.jsonl", rows(4, begin=50))
    words = (out, "--data", held, "--tuned", "--steps", "1")
    assert lens(*words).exit_code == 0
    student = load_lens_student(out).student
    for name, weights in student.model.named_parameters():
        if "lora_B" in name:
            weights.data.fill_(0.01)
    student.model.save_pretrained(out / "final")
    assert lens(*words).exit_code == 0
    assert len(list((out / "lens").iterdir())) == 2


def test_texts_that_are_missing_are_reported(tiny_model: Path, tmp_path: Path) -> None:
    out = make_run(tiny_model, tmp_path / "run", str(tmp_path / "gone"))
    held = write(tmp_path / "held.jsonl", rows(2))
    done = lens(out, "--data", held, "--tuned")
    assert done.exit_code == 2
    assert "no dataset in" in done.stderr
    done = lens(out, "--data", held, "--steps", "3")
    assert done.exit_code == 2
    assert "--steps and --texts belong to --tuned" in done.stderr
