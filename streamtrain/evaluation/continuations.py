"""What a causal student makes of a prompt: log-probabilities of options, or what it writes.

Knows nothing of questions, labels or which answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from streamtrain.data import Batch, block_mask
from streamtrain.models import Student

Tree = tuple[Sequence[int], Sequence[Sequence[int]]]
"""The ids of a prompt, and of each option that may follow it."""

Until = Callable[[str], bool]
"""Whether a text that is still being written already has all that is wanted."""


def tree_scores(student: Student, trees: Sequence[Tree]) -> list[list[float]]:
    """Each prompt is computed once: its options follow it side by side, each seeing the prompt
    and itself. An option's last token is only predicted, so it takes no place."""
    width = max(tree_size(*tree) for tree in trees)
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


def tree_size(prompt: Sequence[int], options: Sequence[Sequence[int]]) -> int:
    return len(prompt) + sum(len(option) - 1 for option in options)


def greedy(
    student: Student, prompts: Sequence[Sequence[int]], longest: int, until: Until | None = None
) -> list[str]:
    """The most likely continuation of each prompt, to its own end, `longest` tokens, or `until` it
    has all that is wanted."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), student.pad)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1

    def done(so_far: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
        texts = student.tokenizer.batch_decode(so_far[:, width:])
        found = [until is not None and until(text) for text in texts]
        return torch.tensor(found, device=so_far.device)

    output = student.model.generate(
        input_ids=ids.to(student.device),
        attention_mask=mask.to(student.device),
        max_new_tokens=longest,
        do_sample=False,
        pad_token_id=student.pad,
        stopping_criteria=[done] if until else [],
    )
    texts: list[str] = student.tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return texts
