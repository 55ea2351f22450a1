"""Where a label stands in a target, and how it is read from what a student writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtrain.batch import make_encoder
from streamtrain.config import Data, LabelForm, StudentConfig
from streamtrain.evaluate import Asking, label_branch
from streamtrain.questions import Question
from streamtrain.target import MARKER, Placement, marker_form
from streamtrain.text import label_texts, make_example

PLACEMENTS: tuple[Placement, ...] = ("after", "before", "none", "task")
ROW: dict[str, Any] = {
    "id": "e1",
    "question": "What cuts paper?",
    "choices": ["some milk", "some scissors"],
    "answer": 1,
    "rationale": "Blades cut. ",
}
LETTERS = ("A", "B")


def written(row: dict[str, Any], data: Data) -> str:
    return "".join(span.text for span in make_example(row, data).target)


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
_OPTIONS = st.lists(_TEXTS.map(str.strip).filter(bool), min_size=2, max_size=5, unique=True).filter(
    lambda options: not any(MARKER in option for option in options)
)
_MENTIONS = st.sampled_from([MARKER, f" {MARKER} A {MARKER}", "A", "so.\n"])
_RATIONALES = (
    st.lists(_TEXTS | _MENTIONS, min_size=1, max_size=6)
    .map(" ".join)
    .filter(lambda text: bool(text.strip()))
)


@given(_OPTIONS, _RATIONALES, st.sampled_from(["letter", "text"]), st.data())
def test_the_label_of_a_target_is_read_back_whatever_its_rationale_says(
    options: list[str], rationale: str, form: LabelForm, drawn: st.DataObject
) -> None:
    label = drawn.draw(st.integers(0, len(options) - 1))
    row = {**ROW, "choices": options, "label": label, "rationale": rationale}
    for placement in PLACEMENTS:
        data = Data(rationale=placement, label=form)
        found = data.form.parse(written(row, data), label_texts(options, form))
        assert found == label, placement


@pytest.mark.parametrize(
    "text", ["", "B", f"{MARKER} B", f"{MARKER} C {MARKER}", f"{MARKER} b {MARKER}"]
)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_answer_outside_the_options_is_not_read(text: str, placement: Placement) -> None:
    assert marker_form(placement, MARKER).parse(text, LETTERS) is None


def test_the_first_label_counts_unless_a_rationale_leads_to_it() -> None:
    text = f" {MARKER} A {MARKER} or {MARKER} B {MARKER}"
    assert marker_form("after", MARKER).parse(text, LETTERS) == 0
    assert marker_form("before", MARKER).parse(text, LETTERS) == 1
    assert marker_form("before", MARKER).before_label(text, LETTERS) == f" {MARKER} A {MARKER} or"


def test_a_text_is_complete_with_its_label() -> None:
    form = marker_form("after", MARKER)
    assert not form.complete(f" {MARKER} B")
    assert not form.complete(f" {MARKER} {MARKER}")
    assert form.complete(f" {MARKER} B {MARKER}")
    assert form.complete(f" {MARKER} nothing known {MARKER} Since")


def test_a_rationale_is_what_stands_beside_the_label() -> None:
    label = f"{MARKER} B {MARKER}"
    before, after, task = (marker_form(one, MARKER) for one in ("before", "after", "task"))
    assert before.rationale_of(f" Since so. {label}", LETTERS) == "Since so."
    assert before.rationale_of(f" Since so. {MARKER} B", LETTERS) == "Since so."
    assert before.rationale_of(" Since so.", LETTERS) == "Since so."
    assert after.rationale_of(f" {label} Since so.", LETTERS) == "Since so."
    assert after.rationale_of(f" {MARKER} B since so.", LETTERS) == "B since so."
    assert task.rationale_of(" Since so.", LETTERS) == "Since so."


def test_the_marker_is_the_files() -> None:
    data = Data(marker="####", rationale="before")
    assert written(ROW, data) == " Blades cut. #### B ####"
    assert data.form.parse(" Blades cut. #### B ####", LETTERS) == 1
    assert data.form.parse(f" Blades cut. {MARKER} B {MARKER}", LETTERS) is None


@pytest.mark.parametrize("form", ["letter", "text"])
@pytest.mark.parametrize("placement", ["after", "before", "none"])
def test_options_are_compared_as_the_tokens_that_were_trained(
    tiny_model: Path, form: LabelForm, placement: Placement
) -> None:
    from transformers import AutoTokenizer

    config = StudentConfig(
        student="s", version=1, model="m", data=Data(rationale=placement, label=form)
    )
    encoder = make_encoder(config, AutoTokenizer.from_pretrained(tiny_model))
    for label in (0, 1):
        example = make_example({**ROW, "label": label}, config.data)
        text = "".join(span.text for span in example.target)
        question = Question(ROW["question"], tuple(ROW["choices"]), label)
        given, begun, options = label_branch(encoder, question, text, Asking(config.data, "scored"))
        asked = (*given, *begun, *options[label])
        assert encoder.example(example).ids[: len(asked)] == asked
