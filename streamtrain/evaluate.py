"""Accuracy of a student on held-out questions, with an interval.

Where the label comes first (`after`, `none`) the options' log-probabilities decide; where the
rationale comes first (`before`) the student writes greedily and its label is parsed, and an answer
that can't be parsed is wrong and counted. Knows nothing of training or where questions are from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from raygen.interval import wilson
from streamtrain.batch import Batch, Encoder, block_mask
from streamtrain.config import Data
from streamtrain.questions import Question
from streamtrain.student import Student
from streamtrain.text import has_label, label_opening, label_options, parse_label, prompt_text

_PLACES_PER_FORWARD = 2048


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Correct answers of all; `low` and `high` are the 95 % Wilson interval of the accuracy.

    `predictions` holds the chosen option of each question, None where it couldn't be parsed.
    """

    accuracy: float
    correct: int
    total: int
    unparsed: int
    low: float
    high: float
    predictions: tuple[int | None, ...]

    def to_json(self, predictions: bool = True) -> dict[str, Any]:
        """Plain data, with or without the predictions."""
        data = asdict(self)
        if not predictions:
            del data["predictions"]
        return data


def evaluate(
    student: Student,
    encoder: Encoder,
    questions: Sequence[Question],
    data: Data,
) -> Evaluation:
    """The student's accuracy, answering as it is trained to. At least one question.

    Options by their text are compared by the mean log-probability of their tokens, so that a long
    one isn't wrong for its length.
    """
    was_training = student.model.training
    student.model.eval()
    try:
        with torch.inference_mode():
            answer = _written if data.rationale == "before" else _scored
            predictions = answer(student, encoder, questions, data)
    finally:
        student.model.train(was_training)
    return judge(questions, predictions)


def judge(questions: Sequence[Question], predictions: Sequence[int | None]) -> Evaluation:
    """The evaluation of one prediction for each question; None is a wrong answer."""
    pairs = zip(questions, predictions, strict=True)
    correct = sum(question.answer == prediction for question, prediction in pairs)
    low, high = wilson(correct, len(questions))
    return Evaluation(
        correct / len(questions),
        correct,
        len(questions),
        sum(prediction is None for prediction in predictions),
        low,
        high,
        tuple(predictions),
    )


def option_scores(
    student: Student, prompt: Sequence[int], options: Sequence[Sequence[int]]
) -> list[float]:
    """The summed log-probability of each option's ids as a continuation of the prompt's ids."""
    return _tree_scores(student, [(prompt, options)])[0]


def _scored(
    student: Student, encoder: Encoder, questions: Sequence[Question], data: Data
) -> list[int | None]:
    trees = []
    for question in questions:
        prompt = _prompt(encoder, question, data)
        opening = encoder.continuation(label_opening())
        options = [
            encoder.continuation(text) for text in label_options(question.choices, data.label)
        ]
        trees.append(([*prompt, *opening], options))
    predictions: list[int | None] = [None] * len(trees)
    for group in _groups([_places(*tree) for tree in trees]):
        scores = _tree_scores(student, [trees[number] for number in group])
        for number, of_options in zip(group, scores, strict=True):
            lengths = [len(option) for option in trees[number][1]]
            means = [score / n for score, n in zip(of_options, lengths, strict=True)]
            predictions[number] = max(range(len(means)), key=means.__getitem__)
    return predictions


def _tree_scores(
    student: Student, trees: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]
) -> list[list[float]]:
    """Each prompt is computed once: its options follow it side by side, each seeing the prompt
    and itself. An option's last token is only predicted, so it takes no place."""
    width = max(_places(*tree) for tree in trees)
    ids = torch.full((len(trees), width), student.pad)
    positions = torch.zeros(len(trees), width, dtype=torch.long)
    owner = torch.full((len(trees), width), -1)
    for row, (prompt, options) in enumerate(trees):
        end = len(prompt)
        ids[row, :end] = torch.tensor(prompt)
        positions[row, :end] = torch.arange(end)
        owner[row, :end] = 0
        for number, option in enumerate(options, 1):
            begin, end = end, end + len(option) - 1
            ids[row, begin:end] = torch.tensor(option[:-1], dtype=torch.long)
            positions[row, begin:end] = torch.arange(len(prompt), len(prompt) + end - begin)
            owner[row, begin:end] = number
    mask = block_mask(owner) | ((owner > 0)[:, :, None] & (owner == 0)[:, None, :])[:, None]
    first = min(len(prompt) for prompt, _ in trees) - 1
    places = torch.arange(first, width, device=student.device)
    batch = Batch(ids, positions, torch.zeros(len(trees), width), mask).to(student.device)
    logits = student.logits(batch, places)
    return [
        [
            sum(
                float(torch.log_softmax(logits[row, place - first].float(), dim=-1)[token])
                for place, token in places_of
            )
            for places_of in _predictors(prompt, options)
        ]
        for row, (prompt, options) in enumerate(trees)
    ]


def _predictors(
    prompt: Sequence[int], options: Sequence[Sequence[int]]
) -> Iterator[list[tuple[int, int]]]:
    """For each option the (place that predicts, token) pairs of its tokens."""
    begin = len(prompt)
    for option in options:
        places = [len(prompt) - 1, *range(begin, begin + len(option) - 1)]
        yield list(zip(places, option, strict=True))
        begin += len(option) - 1


def _places(prompt: Sequence[int], options: Sequence[Sequence[int]]) -> int:
    return len(prompt) + sum(len(option) - 1 for option in options)


def _prompt(encoder: Encoder, question: Question, data: Data) -> list[int]:
    control = (data.control or {}).get("positive", "")
    return encoder.prompt(prompt_text(question.question, question.choices, control))[0]


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of similar lengths, together about as many places as one forward pass may have."""
    left = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while left:
        count = max(1, _PLACES_PER_FORWARD // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def _written(
    student: Student, encoder: Encoder, questions: Sequence[Question], data: Data
) -> list[int | None]:
    prompts = [_prompt(encoder, question, data) for question in questions]
    predictions: list[int | None] = [None] * len(prompts)
    for group in _groups([len(prompt) + encoder.max_target for prompt in prompts]):
        texts = _greedy(student, [prompts[number] for number in group], encoder.max_target)
        for number, text in zip(group, texts, strict=True):
            predictions[number] = parse_label(text, questions[number].choices, data.label)
    return predictions


def _greedy(student: Student, prompts: Sequence[Sequence[int]], longest: int) -> list[str]:
    """The most likely continuation of each prompt, up to its label or `longest` tokens."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), student.pad)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1

    def done(so_far: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
        # Whether the label names one of the question's options is judged later.
        texts = student.tokenizer.batch_decode(so_far[:, width:])
        found = [has_label(text) for text in texts]
        return torch.tensor(found, device=so_far.device)

    output = student.model.generate(
        input_ids=ids.to(student.device),
        attention_mask=mask.to(student.device),
        max_new_tokens=longest,
        do_sample=False,
        pad_token_id=student.pad,
        stopping_criteria=[done],
    )
    texts: list[str] = student.tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return texts
