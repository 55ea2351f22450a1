"""What a student reads and writes: questions from files, inputs, targets, parsed labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygen.core.question import prompt_text
from streamtrain.config.data import DataConfig
from streamtrain.config.target import Placement
from streamtrain.data.examples import make_example, make_tasks
from streamtrain.errors import InputError
from streamtrain.evaluation.predictions import PromptFormat
from streamtrain.heldout.questions import Question, read_questions

PLACEMENTS: tuple[Placement, ...] = ("after", "before", "none")
ROW: dict[str, Any] = {
    "id": "e1",
    "question": "What cuts paper?",
    "choices": ["milk", "scissors"],
    "answer": 1,
    "rationale": "Blades cut. ",
}


def test_the_target_has_the_label_after_before_or_without_the_rationale() -> None:
    texts = {
        placement: [
            (span.kind, span.text)
            for span in make_example(ROW, DataConfig(rationale=placement)).target
        ]
        for placement in PLACEMENTS
    }
    label = ("label", " [FIN_LABEL] B [FIN_LABEL]")
    why = ("rationale", " Blades cut.")
    assert texts == {"after": [label, why], "before": [why, label], "none": [label]}


def test_the_label_to_train_on_wins_over_the_gold_answer() -> None:
    example = make_example({**ROW, "label": 0}, DataConfig(rationale="none"))
    assert example.target[0].text == " [FIN_LABEL] A [FIN_LABEL]"
    assert (
        make_example({**ROW, "label": None}, DataConfig(rationale="none")).target[0].text
        == " [FIN_LABEL] B [FIN_LABEL]"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": ["one"]}, "choices is"),
        ({"answer": 2}, "answer is 2; expected an index from 0 to 1"),
        ({"answer": None}, "answer is None"),
        ({"label": True}, "label is True"),
        ({"rationale": " "}, "rationale is ' '; expected a text"),
        ({"question": None}, "question is None"),
    ],
)
def test_a_row_that_is_no_example_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"example e1 of the dataset: {message}"):
        make_example({**ROW, **change}, DataConfig())


def test_a_label_can_be_the_options_own_text() -> None:
    text = make_example(ROW, DataConfig(rationale="none", label="text")).target[0].text
    assert text == " [FIN_LABEL] scissors [FIN_LABEL]"


def test_the_input_shows_every_option_with_its_letter() -> None:
    assert prompt_text(" Why? ", ["x", "y"]) == "Question: Why?\nOptions:\n(A) x\n(B) y\nAnswer:"


def test_a_view_has_its_control_token() -> None:
    data = DataConfig(control={"positive": "[Direct election]", "negative": "[Elimination method]"})
    for view, start in (
        ("positive", "[Direct election] Q"),
        ("negative", "[Elimination method] Q"),
    ):
        assert make_example({**ROW, "view": view}, data).prompt.startswith(start)
    assert make_example({**ROW, "view": "label_only"}, data).prompt.startswith("Question:")
    assert data.new_tokens == ("[Direct election]", "[Elimination method]")


INPUT = """\
{{ control }}{{ task }}
{{ question }}
{% for choice in choices %}
{{ letters[loop.index0] }}. {{ choice }}
{% endfor %}
{% if refuted %}
Why not {{ refuted }}?
{% endif %}
"""


def test_an_input_can_have_the_files_own_form() -> None:
    data = DataConfig(input=INPUT, control={"positive": "[for]"})
    example = make_example({**ROW, "view": "positive"}, data)
    assert example.prompt == "[for]\nWhat cuts paper?\nA. milk\nB. scissors"
    assert PromptFormat(data, "scored").prompt(
        Question(ROW["question"], ("milk", "scissors"), 1)
    ) == (example.prompt)
    refuting = {**ROW, "view": "negative", "refuted": "milk", "label": None}
    assert make_example(refuting, data).prompt == (
        "What cuts paper?\nA. milk\nB. scissors\nWhy not milk?"
    )
    tasks = make_tasks(ROW, DataConfig(input=INPUT, rationale="task"))
    assert [one.prompt.split("\n")[0] for one in tasks] == ["[label]", "[rationale]"]


def test_a_refutation_that_the_input_does_not_show_is_named() -> None:
    row = {**ROW, "refuted": "milk", "label": None}
    with pytest.raises(InputError, match="example e1 of the dataset refutes the option 'milk'"):
        make_example(row, DataConfig(input="{{ question }}"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ question }}{{ choices[2] }}", "data.input: .*show the question 'What cuts paper"),
        ("{% if false %}{{ question }}{% endif %} ", "empty for the question 'What cuts paper"),
        ("{{ question.__class__.__mro__ }}", "data.input: .*unsafe"),
    ],
)
def test_an_input_that_fails_on_a_row_is_reported(template: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_example(ROW, DataConfig(input=template))


def test_a_refutation_of_one_option_has_no_label() -> None:
    row = {**ROW, "view": "negative", "refuted": "milk", "label": None}
    example = make_example(row, DataConfig())
    assert example.prompt.endswith("Refute: milk\nAnswer:")
    assert [span.kind for span in example.target] == ["rationale"]


def test_questions_are_read_with_any_form_of_answer(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"question": "q", "choices": ["x", "y"], "answer": "y"}\n\n'
        '{"question": "q", "choices": ["x", "y"], "answer": "b"}\n'
        '{"question": "q", "choices": ["x", "y"], "answer": 1}\n'
    )
    assert read_questions(path) == [Question("q", ("x", "y"), 1)] * 3


def test_questions_are_read_from_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"question": ["q"], "choices": [["x", "y"]], "answer": [0]}), path)
    assert read_questions(path) == [Question("q", ("x", "y"), 0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1, column 1: Expecting"),
        ("[1]", r"line 1: found .1."),
        ('{"question": "", "choices": ["x", "y"], "answer": 0}', "question is ''"),
        ('{"question": "q", "choices": ["x"], "answer": 0}', "choices is"),
        ('{"question": "q", "choices": ["x", "x"], "answer": 0}', "same option twice"),
        ('{"question": "q", "choices": ["x", "y"], "answer": "z"}', "answer is 'z'"),
        ('{"question": "q", "choices": ["x", "y"], "answer": 3}', "answer is 3"),
        ("", "has no rows"),
    ],
)
def test_a_bad_question_is_named_with_its_row(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        read_questions(path)


def test_bad_questions_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "q", "choices": ["x", "y"], "answer": 0}\n' + "{}\n" * 7)
    with pytest.raises(InputError, match="7 of 8 rows don't fit the task") as caught:
        read_questions(path)
    assert str(caught.value).count("row ") == 5
