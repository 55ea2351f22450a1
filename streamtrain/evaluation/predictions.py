"""A student's answers to held-out questions, and the scores and texts behind them.

The student answers as it was trained to: if the label comes first (`after`, `none`), the options'
log-probabilities decide; if the rationale comes first (`before`), it generates greedily and its
label is parsed. raygen's engines do both on the student as it is loaded. Knows nothing of training
or of where questions come from.
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

_POSITIONS_PER_FORWARD = 2048

Tree = tuple[Sequence[int], Sequence[Sequence[int]]]
"""Token ids of a prompt, and of each option that may follow it."""

Until = Callable[[str], bool]
"""Tells whether a text that is still being generated can end here."""

How = Literal["scored", "written"]
"""`scored` chooses an option by its log-probability, `written` by the label in the generated text.
"""


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How questions become prompts: the texts of training, what decides, and the view."""

    data: DataConfig
    how: How
    view: View = "positive"

    def prompt(self, question: Question) -> str:
        """Format the input of a question."""
        return input_text(self.data, question.question, question.choices, InputVariant(self.view))

    def parse(self, text: str, question: Question) -> int | None:
        """Parse the option that a generated text names; None if it names none."""
        return self.data.form.parse(text, label_texts(question.choices, self.data.label))


def prompt_format(
    data: DataConfig, how: How | None = None, view: View = "positive"
) -> PromptFormat:
    """Choose the format that a student was trained for, unless `how` overrides it."""
    return PromptFormat(
        data, how or ("written" if data.form.placement == "before" else "scored"), view
    )


def evaluate_student(
    student: Student, tokenizer: ExampleTokenizer, questions: Sequence[Question], data: DataConfig
) -> Evaluation:
    """Evaluate a student in the way that it was trained to answer.

    `tokenizer` is the student's, `questions` has at least one question, and `data` is the section
    of the student's file that its inputs and targets follow. Raises InputError if a classifier is
    asked a question with options of its own.
    """
    return score_predictions(questions, predict(student, tokenizer, questions, prompt_format(data)))


def predict(
    student: Student, tokenizer: ExampleTokenizer, questions: Sequence[Question], how: PromptFormat
) -> list[Prediction]:
    """Predict an answer to each question.

    `tokenizer` is the student's; `how` is the format of its prompts. Options are compared by the
    mean log-probability of their tokens, so that a long text isn't wrong for its length; those of a
    `before` student follow its own rationale. Raises InputError if a classifier is asked a question
    with options of its own.
    """
    with inference_mode(student):
        if student.kind == "classifier":
            return predict_classes(student, tokenizer, _texts(questions, how.data))
        texts: Sequence[str | None] = [None] * len(questions)
        form = how.data.form
        if how.how == "written" or form.placement == "before":
            inputs = [how.prompt(question) for question in questions]
            # A label that a rationale mentions isn't the one that it leads to, and an option's
            # own text may have in it what ends a label.
            stops = form.placement != "before" and (form.marker or how.data.label == "letter")
            until = form.complete if stops else None
            texts = write_texts(student, tokenizer, inputs, until)
        scored = _score(student, tokenizer, questions, texts, how)
    if how.how == "scored":
        return scored
    return [
        replace(prediction, choice=how.parse(prediction.text or "", question))
        for question, prediction in zip(questions, scored, strict=True)
    ]


@contextlib.contextmanager
def inference_mode(student: Student) -> Iterator[None]:
    """Switch off dropout and gradients; a context manager."""
    was_training = student.model.training
    student.model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        student.model.train(was_training)


def _texts(questions: Sequence[Question], data: DataConfig) -> list[str]:
    """Format the texts of a classifier. Raises InputError if a question has options of its own."""
    labels = data.labels or ()
    foreign = next(
        (question for question in questions if not question.classes or question.choices != labels),
        None,
    )
    if foreign is not None:
        raise InputError(
            f"the question {foreign.question[:80]!r} has the options {', '.join(foreign.choices)}; "
            f"a classifier of {', '.join(labels)} needs rows with text and label, one of these"
        )
    return [class_text(data, question.question) for question in questions]


def write_texts(
    student: Student, tokenizer: ExampleTokenizer, inputs: Sequence[str], until: Until | None = None
) -> list[str]:
    """Generate greedily for each of `inputs`, in batches of similar length.

    `tokenizer` is the student's. A text ends on its own, at the longest target, or when `until`
    says that it can.
    """
    prompts = [tokenizer.prompt(text)[0] for text in inputs]
    texts = [""] * len(prompts)
    for group in group_by_length(
        [len(prompt) + tokenizer.max_target for prompt in prompts], _POSITIONS_PER_FORWARD
    ):
        batch = [prompts[number] for number in group]
        written = write_greedily(student, batch, tokenizer.max_target, until)
        for number, text in zip(group, written, strict=True):
            texts[number] = text
    return texts


def _score(
    student: Student,
    tokenizer: ExampleTokenizer,
    questions: Sequence[Question],
    texts: Sequence[str | None],
    how: PromptFormat,
) -> list[Prediction]:
    """Score the options of each question, after the rationale that the student generated if any."""
    branches = [
        label_branch(tokenizer, question, text, how)
        for question, text in zip(questions, texts, strict=True)
    ]
    encoder_decoder = student.kind == "seq2seq"
    trees = [([*input_ids, *begun], options) for input_ids, begun, options in branches]
    sizes = [
        branch_size(*branch) if encoder_decoder else tree_size(*tree)
        for branch, tree in zip(branches, trees, strict=True)
    ]
    predictions: list[Prediction] = [Prediction(None)] * len(trees)
    for group in group_by_length(sizes, _POSITIONS_PER_FORWARD):
        scores = (
            branch_scores(student, [branches[number] for number in group])
            if encoder_decoder
            else tree_scores(student, [trees[number] for number in group])
        )
        for number, of_options in zip(group, scores, strict=True):
            lengths = [len(option) for option in trees[number][1]]
            means = [score / n for score, n in zip(of_options, lengths, strict=True)]
            choice = max(range(len(means)), key=means.__getitem__)
            predictions[number] = Prediction(choice, softmax(means), texts[number])
    return predictions


def label_branch(
    tokenizer: ExampleTokenizer, question: Question, text: str | None, how: PromptFormat
) -> Branch:
    """Tokenize what a question's options are scored on: the input, the target up to the label, and
    each option.

    `tokenizer` is the student's, `how` the format of the prompt. `text` is what the student
    generated; with the rationale first, the rationale in it is a part of the target.
    """
    form, labels = how.data.form, label_texts(question.choices, how.data.label)
    why = form.before_label(text, labels) if text and form.placement == "before" else ""
    begun = [piece for piece in (why, form.opening) if piece]
    return (
        tokenizer.prompt(how.prompt(question))[0],
        [token for piece in begun for token in tokenizer.continuation(piece)],
        [tokenizer.continuation(form.option(label)) for label in labels],
    )


def tree_scores(student: Student, trees: Sequence[Tree]) -> list[list[float]]:
    """Sum the log-probabilities of each option after its prompt, which is computed once for all."""
    texts = [
        Continuation((*prompt, *option), len(prompt))
        for prompt, options in trees
        for option in options
    ]
    with student.precision():
        scores = iter(score(student.plain_model, texts))
    return [[next(scores).logprob for _ in options] for _, options in trees]


def tree_size(prompt: Sequence[int], options: Sequence[Sequence[int]]) -> int:
    """Estimate how many tokens a prompt with its options takes."""
    return len(prompt) + sum(len(option) - 1 for option in options)


def write_greedily(
    student: Student, prompts: Sequence[Sequence[int]], longest: int, until: Until | None = None
) -> list[str]:
    """Generate greedily for each prompt, to its own end, at most `longest` tokens, or `until` the
    text can end.

    An encoder-decoder's text begins with the decoder's start token, also in what `until` gets.
    """
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
