"""A classifier's forward pass: texts as padded tensors, and the logits of their classes.

Knows nothing of losses, teachers or where texts come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from streamtrain.data import ExampleTokenizer, group_by_length
from streamtrain.heldout import Prediction
from streamtrain.models.student import Student

_POSITIONS_PER_FORWARD = 2048


@dataclass(frozen=True, slots=True)
class ClassifierInputs:
    """R texts of up to T tokens: `ids` and `mask` (R, T), 1 where a token is."""

    ids: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, slots=True)
class ClassifierOutputs:
    """Outputs for R texts: `logits` (R, classes) and, on request, the hidden states (R, T, width)
    of the embeddings and of each layer."""

    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] = ()


def pad_texts(texts: Sequence[Sequence[int]], pad: int, device: torch.device) -> ClassifierInputs:
    """Pad texts on the right with the id `pad`, and move them to a device."""
    rows = [torch.tensor(text) for text in texts]
    filled = torch.nn.utils.rnn.pad_sequence
    ids = filled(rows, batch_first=True, padding_value=pad)
    mask = filled([torch.ones_like(row) for row in rows], batch_first=True)
    return ClassifierInputs(ids.to(device), mask.to(device))


def classify(student: Student, texts: ClassifierInputs, hidden: bool = False) -> ClassifierOutputs:
    """Compute the logits of texts, in the order of the student's labels, in float32."""
    with student.precision():
        output = student.model(
            input_ids=texts.ids, attention_mask=texts.mask, output_hidden_states=hidden
        )
    return ClassifierOutputs(
        output.logits.float(), tuple(output.hidden_states or ()) if hidden else ()
    )


def predict_classes(
    student: Student, tokenizer: ExampleTokenizer, texts: Sequence[str]
) -> list[Prediction]:
    """Predict each text's most probable class, with the probabilities of all classes."""
    ids = [tokenizer.text(text)[0] for text in texts]
    by_number: dict[int, tuple[float, ...]] = {}
    for group in group_by_length([len(text) for text in ids], _POSITIONS_PER_FORWARD):
        batch = pad_texts([ids[number] for number in group], student.pad, student.device)
        probabilities = torch.softmax(classify(student, batch).logits, dim=-1).tolist()
        by_number.update(zip(group, map(tuple, probabilities), strict=True))
    return [
        Prediction(max(range(len(of)), key=of.__getitem__), of)
        for of in (by_number[number] for number in range(len(ids)))
    ]
