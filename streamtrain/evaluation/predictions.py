"""A student's answers to held-out questions, and how good they are.

Asked as it is trained to answer: where the label comes first (`after`, `none`) the options'
log-probabilities decide; where the rationale comes first (`before`) the student writes greedily
and its label is read. Knows nothing of training or where questions are from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from raygen.core import softmax
from raygen.engines import Sampling
from raygen.engines.transformers import Continuation, Sampler, SampleRequest, score
from streamtrain.config import DataConfig, View
from streamtrain.data import (
    ExampleTokenizer,
    InputVariant,
    class_text,
    group_by_length,
    input_text,
    label_texts,
)
from streamtrain.errors import InputError
from streamtrain.evaluation.metrics import Evaluation, score_predictions
from streamtrain.heldout import Prediction, Question
from streamtrain.models import (
    Branch,
    Student,
    branch_scores,
    branch_size,
    predict_classes,
)

_PLACES_PER_FORWARD = 2048

Tree = tuple[Sequence[int], Sequence[Sequence[int]]]
"""The ids of a prompt, and of each option that may follow it."""

Until = Callable[[str], bool]
"""Whether a text that is still being written already has all that is wanted."""

How = Literal["scored", "written"]
"""An option is chosen by its log-probability, or by the label in what the student writes."""


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How questions are put: the texts of training, what decides, and the view asked for."""

    data: DataConfig
    how: How
    view: View = "positive"

    def prompt(self, question: Question) -> str:
        """The input of a question."""
        return input_text(self.data, question.question, question.choices, InputVariant(self.view))

    def parse(self, text: str, question: Question) -> int | None:
        """The option that a written text names; None where it names none."""
        return self.data.form.parse(text, label_texts(question.choices, self.data.label))


def prompt_format(
    data: DataConfig, how: How | None = None, view: View = "positive"
) -> PromptFormat:
    """The way that the student is trained for, unless `how` says another."""
    return PromptFormat(
        data, how or ("written" if data.form.placement == "before" else "scored"), view
    )


def evaluate_student(
    student: Student, encoder: ExampleTokenizer, questions: Sequence[Question], data: DataConfig
) -> Evaluation:
    """The student's accuracy, answering as it is trained to. At least one question."""
    return score_predictions(questions, predict(student, encoder, questions, prompt_format(data)))


def predict(
    student: Student, encoder: ExampleTokenizer, questions: Sequence[Question], how: PromptFormat
) -> list[Prediction]:
    """The student's answer to each question.

    Options are compared by the mean log-probability of their tokens, so that a long text isn't
    wrong for its length. Those of a `before` student follow its own rationale.
    """
    with inference_mode(student):
        if student.kind == "classifier":
            return predict_classes(student, encoder, _texts(questions, how.data))
        texts: Sequence[str | None] = [None] * len(questions)
        form = how.data.form
        if how.how == "written" or form.placement == "before":
            inputs = [how.prompt(question) for question in questions]
            # A label that a rationale mentions isn't the one that it leads to, and an option's
            # own text may have in it what ends a label.
            stops = form.placement != "before" and (form.marker or how.data.label == "letter")
            until = form.complete if stops else None
            texts = write_texts(student, encoder, inputs, until)
        scored = _score(student, encoder, questions, texts, how)
    if how.how == "scored":
        return scored
    return [
        replace(prediction, choice=how.parse(prediction.text or "", question))
        for question, prediction in zip(questions, scored, strict=True)
    ]


@contextlib.contextmanager
def inference_mode(student: Student) -> Iterator[None]:
    """While it lasts, the student answers without dropout and without gradients."""
    was_training = student.model.training
    student.model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        student.model.train(was_training)


def _texts(questions: Sequence[Question], data: DataConfig) -> list[str]:
    """What a classifier reads. Raises InputError where a question has options of its own."""
    labels = data.labels or ()
    other = next((one for one in questions if not one.classes or one.choices != labels), None)
    if other is not None:
        raise InputError(
            f"the question {other.question[:80]!r} has the options {', '.join(other.choices)}; a "
            f"classifier of {', '.join(labels)} needs rows with text and label, one of these"
        )
    return [class_text(data, question.question) for question in questions]


def write_texts(
    student: Student, encoder: ExampleTokenizer, inputs: Sequence[str], until: Until | None = None
) -> list[str]:
    """What the student writes greedily to each input: the whole target, or `until` it has all that
    is wanted."""
    prompts = [encoder.prompt(text)[0] for text in inputs]
    texts = [""] * len(prompts)
    for group in group_by_length(
        [len(prompt) + encoder.max_target for prompt in prompts], _PLACES_PER_FORWARD
    ):
        given = [prompts[number] for number in group]
        written = write_greedily(student, given, encoder.max_target, until)
        for number, text in zip(group, written, strict=True):
            texts[number] = text
    return texts


def _score(
    student: Student,
    encoder: ExampleTokenizer,
    questions: Sequence[Question],
    texts: Sequence[str | None],
    how: PromptFormat,
) -> list[Prediction]:
    """The likeliest option of each question, after the rationale that the student wrote if any."""
    branches = [
        label_branch(encoder, question, text, how)
        for question, text in zip(questions, texts, strict=True)
    ]
    apart = student.kind == "seq2seq"
    trees = [([*given, *begun], options) for given, begun, options in branches]
    sizes = [
        branch_size(*one) if apart else tree_size(*tree)
        for one, tree in zip(branches, trees, strict=True)
    ]
    predictions: list[Prediction] = [Prediction(None)] * len(trees)
    for group in group_by_length(sizes, _PLACES_PER_FORWARD):
        scores = (
            branch_scores(student, [branches[number] for number in group])
            if apart
            else tree_scores(student, [trees[number] for number in group])
        )
        for number, of_options in zip(group, scores, strict=True):
            lengths = [len(option) for option in trees[number][1]]
            means = [score / n for score, n in zip(of_options, lengths, strict=True)]
            choice = max(range(len(means)), key=means.__getitem__)
            predictions[number] = Prediction(choice, softmax(means), texts[number])
    return predictions


def label_branch(
    encoder: ExampleTokenizer, question: Question, text: str | None, how: PromptFormat
) -> Branch:
    """A question's input, what stands before its label in the target (its rationale too where the
    student wrote one first), and the options that may follow."""
    form, labels = how.data.form, label_texts(question.choices, how.data.label)
    why = form.before_label(text, labels) if text and form.placement == "before" else ""
    begun = [piece for piece in (why, form.opening) if piece]
    return (
        encoder.prompt(how.prompt(question))[0],
        [token for piece in begun for token in encoder.continuation(piece)],
        [encoder.continuation(form.option(label)) for label in labels],
    )


def tree_scores(student: Student, trees: Sequence[Tree]) -> list[list[float]]:
    """The summed log-probability of each option after its prompt, which is read once for all."""
    texts = [
        Continuation((*prompt, *option), len(prompt))
        for prompt, options in trees
        for option in options
    ]
    with student.precision():
        scores = iter(score(student.plain_model, texts))
    return [[next(scores).logprob for _ in options] for _, options in trees]


def tree_size(prompt: Sequence[int], options: Sequence[Sequence[int]]) -> int:
    """About how many positions a prompt with its options takes."""
    return len(prompt) + sum(len(option) - 1 for option in options)


def write_greedily(
    student: Student, prompts: Sequence[Sequence[int]], longest: int, until: Until | None = None
) -> list[str]:
    """The most likely answer to each prompt, to its own end, `longest` tokens, or `until` it has
    all that is wanted. A decoder's answer begins with the token that it starts from, and so does
    the text that `until` gets."""
    tokenizer = student.tokenizer
    writer = Sampler(student.plain_model, tokenizer, max_len=None)
    start = [student.model.config.decoder_start_token_id] if student.kind == "seq2seq" else []

    def enough(tokens: Sequence[int]) -> bool:
        return until is not None and until(tokenizer.decode([*start, *tokens]))

    sampling = Sampling(temperature=0.0, max_tokens=longest)
    asks = [SampleRequest(tuple(prompt), sampling, 0) for prompt in prompts]
    answers = writer.write_tokens(asks, enough if until else None)
    texts: list[str] = tokenizer.batch_decode(answers, skip_special_tokens=True)
    return texts
