"""Where a label stands in a target, and how it is read from what a student writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamtrain.cli.main import main
from streamtrain.config.data import DataConfig, LabelForm
from streamtrain.config.student import StudentConfig
from streamtrain.config.target import MARKER, Placement, TargetForm, marker_form, written_form
from streamtrain.data.examples import label_texts, make_example
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation.predictions import PromptFormat, label_branch, prompt_format
from streamtrain.heldout.questions import Question
from streamtrain.models.student import load_student, model_source
from streamtrain.run.spec import RunSpec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep
from tests.local.streamtrain.models.test_seq2seq import family

PLACEMENTS: tuple[Placement, ...] = ("after", "before", "none", "task")
ROW: dict[str, Any] = {
    "id": "e1",
    "question": "What cuts paper?",
    "choices": ["some milk", "some scissors"],
    "answer": 1,
    "rationale": "Blades cut. ",
}
LETTERS = ("A", "B")


def written(row: dict[str, Any], data: DataConfig) -> str:
    return "".join(span.text for span in make_example(row, data).target)


FORMS: dict[str, Placement] = {
    "{{ rationale }} So the answer is ({{ label }}).": "before",
    "Let's see: {{rationale}}\nThe answer is {{label}}": "before",
    "{{ label }}. {{ rationale }}": "after",
    "({{ label }}) {{ rationale }} That's it.": "after",
    "Answer: {{ label }}\nBecause {{ rationale }}": "after",
    "{{ label }}\n{{ rationale }}": "after",
    "{{ label }}": "none",
    '{"answer": "{{ label }}"}': "none",
}
WAYS: list[dict[str, Any]] = [
    *({"target": form} for form in FORMS),
    *({"rationale": placement} for placement in PLACEMENTS),
]
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
_OPTIONS = st.lists(_WORDS.map(str.strip).filter(bool), min_size=2, max_size=5, unique=True)
_MENTIONS = st.sampled_from(
    [
        MARKER,
        f" {MARKER} A {MARKER}",
        "A",
        "so.\n",
        "So the answer is (A).",
        "So the answer is (",
        "The answer is B\n",
        "(B)",
        ").",
    ]
)
_RATIONALES = (
    st.lists(_WORDS | _MENTIONS, min_size=1, max_size=6)
    .map(" ".join)
    .filter(lambda text: bool(text.strip()))
)


def told_apart(form: TargetForm, options: list[str]) -> bool:
    """Whether no option has in it what announces a label, or begins as another one that ends."""
    opening, end = form.opening.strip(), form.end.strip()
    if opening and any(opening in option for option in options):
        return False
    return not end or not any(
        one != other and re.match(rf"{re.escape(one)}\s*{re.escape(end)}", other)
        for one in options
        for other in options
    )


@given(
    st.sampled_from(
        [*({"target": form} for form in FORMS), *({"rationale": p} for p in PLACEMENTS)]
    ),
    _OPTIONS,
    _RATIONALES,
    st.sampled_from(["letter", "text"]),
    st.booleans(),
    st.data(),
)
def test_the_label_of_a_target_is_read_back_whatever_its_rationale_says(
    how: dict[str, Any],
    options: list[str],
    rationale: str,
    form: LabelForm,
    chat: bool,
    drawn: st.DataObject,
) -> None:
    data = DataConfig(label=form, chat=chat, **how)
    assume(form == "letter" or told_apart(data.form, options))
    label = drawn.draw(st.integers(0, len(options) - 1))
    row = {**ROW, "choices": options, "label": label, "rationale": rationale}
    assert data.form.parse(written(row, data), label_texts(options, form)) == label


def test_an_option_that_looks_like_an_announcement_is_read_whole() -> None:
    form = written_form("{{ rationale }} So: ({{ label }})")
    options = ["x", "a thing (So: (x))"]
    assert form.parse(" Why. So: (a thing (So: (x)))", options) == 1
    assert form.parse(" Why. So: (x)", options) == 0


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


def test_a_rationale_is_what_stands_around_the_label() -> None:
    label = f"{MARKER} B {MARKER}"
    before, after, task = (marker_form(one, MARKER) for one in ("before", "after", "task"))
    assert before.rationale_of(f" Since so. {label}", LETTERS) == "Since so."
    assert before.rationale_of(f" Since so. {MARKER} B", LETTERS) == "Since so."
    assert before.rationale_of(" Since so.", LETTERS) == "Since so."
    assert after.rationale_of(f" {label} Since so.", LETTERS) == "Since so."
    assert after.rationale_of(f" {MARKER} B since so.", LETTERS) == "B since so."
    assert task.rationale_of(" Since so.", LETTERS) == "Since so."


def test_the_marker_is_the_files() -> None:
    data = DataConfig(marker="####", rationale="before")
    assert written(ROW, data) == " Blades cut. #### B ####"
    assert data.form.parse(" Blades cut. #### B ####", LETTERS) == 1
    assert data.form.parse(f" Blades cut. {MARKER} B {MARKER}", LETTERS) is None


@pytest.mark.parametrize("form", ["letter", "text"])
@pytest.mark.parametrize(
    "how",
    [
        *({"target": form} for form in FORMS),
        *({"rationale": p} for p in ("after", "before", "none")),
    ],
    ids=str,
)
def test_options_are_compared_as_the_tokens_that_were_trained(
    tiny_model: Path, form: LabelForm, how: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    config = StudentConfig(student="s", version=1, model="m", data=DataConfig(label=form, **how))
    tokenizer = make_example_tokenizer(config, AutoTokenizer.from_pretrained(tiny_model))
    for label in (0, 1):
        example = make_example({**ROW, "label": label}, config.data)
        text = "".join(span.text for span in example.target)
        question = Question(ROW["question"], tuple(ROW["choices"]), label)
        input_ids, begun, options = label_branch(
            tokenizer, question, text, PromptFormat(config.data, "scored")
        )
        scored_ids = (*input_ids, *begun, *options[label])
        assert tokenizer.example(example).ids[: len(scored_ids)] == scored_ids


@pytest.fixture(scope="module")
def spaceless() -> Any:
    """A tokenizer as T5's: every piece of a text begins with a space, and lines don't end."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Replace("\n", " ")
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120,
        special_tokens=["</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    words = [*FORMS, *ROW["choices"], ROW["rationale"], ROW["question"], f"{MARKER} A B"]
    unigram.train_from_iterator(words * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=unigram, eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("form", ["letter", "text"])
@pytest.mark.parametrize("how", WAYS, ids=str)
def test_a_tokenizer_that_moves_spaces_leaves_a_label_readable(
    spaceless: Any, form: LabelForm, how: dict[str, Any]
) -> None:
    config = StudentConfig(student="s", version=1, model="m", data=DataConfig(label=form, **how))
    if how.get("target") == "{{ label }}\n{{ rationale }}":
        with pytest.raises(InputError, match="tokenizer has no line breaks; end it by a text"):
            make_example_tokenizer(config, spaceless)
        return
    example = make_example(ROW, config.data)
    tokenizer = make_example_tokenizer(config, spaceless)
    ids = tokenizer.example(example).ids[len(tokenizer.prompt(example.prompt)[0]) :]
    text = spaceless.decode(ids, skip_special_tokens=True)
    assert config.data.form.parse(text, label_texts(ROW["choices"], form)) == 1


def spans(target: str) -> list[tuple[str, str]]:
    return [(one.kind, one.text) for one in make_example(ROW, DataConfig(target=target)).target]


def test_what_stands_around_a_label_is_learned_with_it() -> None:
    assert spans("{{ rationale }} So the answer is ({{ label }}).") == [
        ("rationale", " Blades cut."),
        ("label", " So the answer is (B)."),
    ]
    assert spans(" Answer: {{label}}\nBecause {{ rationale }} That's it.\n") == [
        ("label", " Answer: B\nBecause"),
        ("rationale", " Blades cut. That's it."),
    ]
    assert spans("Think. {{ rationale }}\n= {{ label }}") == [
        ("rationale", " Think. Blades cut."),
        ("label", "\n= B"),
    ]
    assert spans("{{ label }}") == [("label", " B")]


@pytest.mark.parametrize(("target", "placement"), FORMS.items())
def test_the_order_says_where_the_rationale_is(target: str, placement: Placement) -> None:
    data = DataConfig(target=target)
    assert data.form.placement == placement
    text = written(ROW, data)
    expected = {"before": "Blades cut.", "after": "Blades cut.", "none": text.strip()}[placement]
    assert data.form.rationale_of(text, LETTERS) == expected
    assert prompt_format(data).how == ("written" if placement == "before" else "scored")


def test_a_label_without_an_end_ends_with_its_line() -> None:
    form = written_form("Answer: {{ label }}")
    assert form.parse(" Answer: B", LETTERS) == 1
    assert form.parse(" Answer: B \nand more", LETTERS) == 1
    assert form.parse(" Answer: B and more", LETTERS) is None
    assert not form.complete(" Answer: B")
    assert form.complete(" Answer: B\n")


def test_a_label_without_an_opening_comes_first() -> None:
    form = written_form("{{ label }}. {{ rationale }}")
    assert form.parse(" B. Since A. is wrong", LETTERS) == 1
    assert form.parse(" It is not A. B. then", LETTERS) is None


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{{ rationale }}", "found {{ label }} 0 times and {{ rationale }} 1 times"),
        ("{{ label }} or {{ label }}", "found {{ label }} 2 times"),
        ("{{ rationale }} {{ rationale }} = {{ label }}", "{{ rationale }} 2 times"),
        ("{{ question }}: {{ label }}", "nothing else in braces"),
        ("{{ label | lower }}", "nothing else in braces"),
        ("{% if x %}{{ label }}{% endif %}", "nothing else in braces"),
        ("{{ label }} {# so #}", "nothing else in braces"),
        ("{ label }} {{ label }}", "nothing else in braces"),
        ("{{ rationale }} {{ label }}", "so no label could be found; announce it"),
        ("{{ label }} {{ rationale }}", "so no label could be told from what follows; end it"),
        ("{{ label }}{{ rationale }}", "so no label could be told from what follows; end it"),
    ],
)
def test_a_target_from_which_no_label_could_be_read_is_refused(target: str, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        DataConfig(target=target)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"marker": "##"}, "marker and target are two ways"),
        ({"rationale": "task"}, "rationale is task, and target has it before"),
        ({"rationale": "after"}, "rationale is after, and target has it before"),
    ],
)
def test_a_target_alone_says_where_things_are(more: dict[str, Any], message: str) -> None:
    target = "{{ rationale }} So the answer is ({{ label }})."
    assert DataConfig(target=target, rationale="before").form == written_form(target)
    with pytest.raises(ValidationError, match=message):
        DataConfig(target=target, **more)


@pytest.mark.parametrize(
    ("kind", "target", "label"),
    [
        ("causal", "{{ rationale }} So the answer is ({{ label }}).", "letter"),
        ("causal", "It is {{ label }}. {{ rationale }}", "text"),
        pytest.param(
            "seq2seq",
            "{{ rationale }} So the answer is ({{ label }}).",
            "letter",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_finished_run_is_evaluated_in_the_form_that_it_learned(
    tiny_model: Path, tmp_path: Path, kind: str, target: str, label: str
) -> None:
    model = family("t5", tmp_path, tiny_model) if kind == "seq2seq" else tiny_model
    form = {"target": target, "label": label, "input": "Q: {{ question }} {{ choices | join }}"}
    settings = StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(model),
            "kind": kind,
            "tune": {"method": "full"},
            "data": {**form, "max_target": 48},
            "optim": {"lr": 3e-3, "clip": None},
        }
    )
    torch.manual_seed(0)
    student = load_student(model_source(settings), settings.tune, torch.device("cpu"))
    made = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    for number in range(150 if kind == "seq2seq" else 60):
        made.step([ROW], number, 1.0)
    out = tmp_path / "run"
    out.mkdir()
    write_outcome(RunSpec(settings, str(model), "d", out, None), student, TrainProgress({}), None)
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps(ROW) + "\n")
    ways: list[tuple[str, ...]] = [("--rationales",), ("--how", "written"), ("--how", "scored")]
    if kind == "causal":
        ways.append(("--samples", "2", "--backend", "transformers"))
    for way in ways:
        done = CliRunner().invoke(main, ["eval", str(out), "--data", str(held), "--json", *way])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["correct"] == 1, way
    CliRunner().invoke(main, ["eval", str(out), "--data", str(held), "--rationales"])
    written = json.loads((out / "evaluations" / "held" / "rationales.jsonl").read_text())
    assert (written["rationale"], written["choice"]) == ("Blades cut.", 1)
