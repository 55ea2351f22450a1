"""The section `data` of student.yaml: how an example becomes input and target.

Also checks and fills the file's own template of an input (`data.input`). Knows nothing of the rest
of the file, or of rows, tokens and models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from raygen.core import TemplateError, render, template_fields
from streamtrain.config.base import ConfigSection, Positive, Weight
from streamtrain.config.target import MARKER, Placement, TargetForm, marker_form, written_form
from streamtrain.errors import InputError

View = Literal[
    "positive", "negative", "counterfactual_positive", "counterfactual_negative", "label_only"
]
LabelForm = Literal["letter", "text"]

_OF_QUESTIONS = ("question", "choices", "letters", "control", "task", "refuted")
_OF_CLASSIFIERS = ("text",)


class RationalesConfig(ConfigSection):
    """How many rationales of a question an epoch takes, and what they weigh together."""

    per_question: Literal["all", "one"] = "all"
    """`all` in every epoch, or `one`, a different one each epoch (SCoTD, arXiv 2306.14050). The
    rationales of a question are those of one source row, variant and view."""
    weight: Literal["question", "example"] = "example"
    """Whether the rationales of a question share the weight of one example."""
    wrong: Literal["skip", "keep"] = "skip"
    """What to do with recorded rationales (those with a column `predicted`) that led their teacher
    to another answer than the row's, or to none that could be read."""


class DataConfig(ConfigSection):
    """How an example becomes input and target."""

    rationale: Placement = "after"
    """Where the rationale stands: after the label, before it, nowhere, or as a task of its own,
    told from the label's by a prefix of the input (distilling step-by-step, arXiv 2305.02301)."""
    label: LabelForm = "letter"
    """What names the right option: its letter, or its text, which small students learn from fewer
    examples."""
    marker: Annotated[str, Field(pattern=r"^\S(?:.*\S)?$")] = MARKER
    """The text before and after the label; a single token if `tokens` names it."""
    target: str | None = None
    """A template of the target instead of markers, such as "{{ rationale }} So the answer is ({{
    label }}).". The text around the label is learned with it, and the order of the two placeholders
    sets `rationale`."""
    input: Annotated[str, Field(min_length=1)] | None = None
    """A sandboxed Jinja template of the input over question, choices, letters, control, task and
    refuted (empty where a row has none), or over a classifier's text; absent: the built-in format.
    """
    chat: bool = False
    """Format the input as one user turn by the chat template of the student's tokenizer."""
    labels: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """The classes of a classifier, in the order of its outputs; each row's `label` is one of them.
    """
    pairs: bool = False
    """Keep an original and its counterfactual (the two rows of a `group`) in one minibatch."""
    views: dict[View, Weight] | None = None
    """Loss multipliers by view. If given, a view of the dataset that is not named is an error, and
    0 leaves a view out; absent: every view weighs 1."""
    nodes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The nodes of the recipe whose examples are trained on; absent: all of them."""
    control: dict[View, Annotated[str, Field(min_length=1)]] | None = None
    """A prefix of the input by view, such as `[Direct election]` for positive (EMNLP 2024 main
    333). Each is a single token, as if named under `tokens`. Evaluation uses that of the view
    positive."""
    tokens: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that become single tokens of the student; new ones are trained, with a LoRA too."""
    rationales: RationalesConfig = RationalesConfig()
    max_input: Positive = 512
    max_target: Positive = 256
    pack: bool = False
    """Pack several sequences into one row of a causal student; attention stays inside each. An
    encoder-decoder batches sequences of similar length instead."""

    @field_validator("target")
    @classmethod
    def _target_can_be_read(cls, target: str | None) -> str | None:
        if target is not None:
            written_form(target)
        return target

    @model_validator(mode="after")
    def _target_is_alone(self) -> DataConfig:
        if self.target is None:
            return self
        if "marker" in self.model_fields_set:
            raise ValueError("marker and target are two ways to announce a label; use one")
        if "rationale" in self.model_fields_set and self.rationale != self.form.placement:
            raise ValueError(
                f"rationale is {self.rationale}, and target has it {self.form.placement}; "
                "leave out rationale, or target"
            )
        return self

    @property
    def form(self) -> TargetForm:
        """The format that targets are written in, and labels are parsed from."""
        lead = "" if self.chat else " "
        if self.target is not None:
            return written_form(self.target, lead)
        return marker_form(self.rationale, self.marker, lead)

    @property
    def new_tokens(self) -> tuple[str, ...]:
        """All texts that become single tokens: `tokens` and the prefixes of `control`."""
        return (*self.tokens, *(self.control or {}).values())


def check_input(template: str, classifier: bool, control: bool, tasks: bool) -> None:
    """Check the template of an input.

    Raises ValueError for a template that can't be parsed, that reads a field which not every
    question has or which gives away the answer, or that leaves out what an input must show: its
    question, its control token if there are any, its task if there are two.
    """
    try:
        read = template_fields(template)
    except TemplateError as error:
        raise ValueError(f"data.input: {error}") from error
    known = _OF_CLASSIFIERS if classifier else _OF_QUESTIONS
    if unknown := sorted(read - set(known)):
        raise ValueError(
            f"data.input reads {', '.join(unknown)}; expected {', '.join(known)} alone, which "
            "every held-out question has too and which don't tell its answer"
        )
    needed = {
        "text": classifier,
        "question": not classifier,
        "control": control,
        "task": tasks,
    }
    missing = [name for name, required in needed.items() if required and name not in read]
    if missing:
        raise ValueError(f"data.input never shows {{{{ {missing[0]} }}}}; put it there")


def template_reads(template: str, name: str) -> bool:
    """Tell whether a checked template reads the field `name`."""
    return name in template_fields(template)


def fill_input(template: str, values: Mapping[str, Any]) -> str:
    """Render the input, stripped of surrounding space.

    Raises InputError if rendering fails or gives an empty text.
    """
    try:
        text = render(template, values).strip()
    except TemplateError as error:
        raise InputError(f"data.input: {error}; it was to show {_shown(values)}") from error
    if not text:
        raise InputError(f"data.input: the template is empty for {_shown(values)}")
    return text


def _shown(values: Mapping[str, Any]) -> str:
    name = "question" if "question" in values else "text"
    return f"the {name} {values[name][:80]!r}"
