"""The logit lens: how early in its layers a student knows the label.

Every layer's state at the place before the label is read by the model's own last norm and head,
as if the later layers weren't there. What counts is the first token of the gold label. Knows
nothing of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamtrain.batch import make_encoder
from streamtrain.errors import InputError
from streamtrain.evaluate import asking, label_tree, predict
from streamtrain.outcome import read_outcome
from streamtrain.questions import read_questions
from streamtrain.student import Student
from streamtrain.table import Table

_LAST_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
"""What the norm before the head is called in the families of causal models."""


@dataclass(frozen=True, slots=True)
class Curves:
    """A student's probability of the gold label after each of its layers, by question."""

    label: str
    of: Mapping[str, tuple[float, ...]]

    @property
    def layers(self) -> int:
        """How many layers the student has."""
        return len(next(iter(self.of.values())))

    def mean(self) -> list[float]:
        """The mean over the questions, for each layer."""
        return [float(value) for value in np.mean(list(self.of.values()), axis=0)]

    def first_above(self, threshold: float) -> list[int | None]:
        """For each question the first layer, counted from 1, that is surer; None where none is."""
        return [
            next((layer for layer, p in enumerate(curve, 1) if p > threshold), None)
            for curve in self.of.values()
        ]


def read_curves(folders: Sequence[Path], file: Path) -> list[Curves]:
    """The students' curves over the questions of a file that all of them answer rightly.

    Raises InputError where there is no such question, or a student that has no lens.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    curves = []
    for folder in folders:
        student, config = read_outcome(folder, device)
        if config.kind != "causal":
            raise InputError(f"{folder}: the lens is not available yet for kind: {config.kind}")
        questions = read_questions(file)
        encoder, how = make_encoder(config, student.tokenizer), asking(config.data)
        right = {}
        for question, answer in zip(
            questions, predict(student, encoder, questions, how), strict=True
        ):
            if answer.choice == question.answer:
                prompt, options = label_tree(encoder, question, answer.text, how)
                right[question.key] = label_curve(student, prompt, options[question.answer][0])
        curves.append(Curves(f"{config.student} ({folder})", right))
    return common(curves)


def common(curves: Sequence[Curves]) -> list[Curves]:
    """The curves over the questions that all have. Raises InputError where there is none."""
    keys = [key for key in curves[0].of if all(key in each.of for each in curves)]
    if not keys:
        raise InputError(
            "no question is answered rightly by all of these students, so there is nothing to "
            "look at; give more questions or fewer students"
        )
    return [Curves(each.label, {key: each.of[key] for key in keys}) for each in curves]


def label_curve(student: Student, prompt: Sequence[int], token: int) -> tuple[float, ...]:
    """The probability of a token as the next one, after each layer."""
    return tuple(float(p) for p in layer_logits(student, prompt).softmax(dim=-1)[:, token])


def layer_logits(student: Student, prompt: Sequence[int]) -> torch.Tensor:
    """Logits (layers, vocabulary) of what follows a prompt, as each layer has them.

    Raises InputError for a model whose last norm isn't known.
    """
    student.model.eval()
    base = student.model.get_base_model() if student.adapter else student.model
    with torch.inference_mode():
        states = student.model(
            input_ids=torch.tensor([list(prompt)], device=student.device),
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        # The first is the embedding; the last has been through the norm.
        inner = torch.stack([state[0, -1] for state in states[1:-1]])
        normed = torch.cat([_last_norm(base)(inner), states[-1][0, -1:]])
        logits: torch.Tensor = base.get_output_embeddings()(normed).float()
    return logits


def summary(curves: Sequence[Curves], threshold: float) -> Table:
    """When each student knows: quartiles of the first layer above the threshold."""
    columns = ("student", "questions", "layers", "first quartile", "median", "third quartile")
    return Table((*columns, "never"), tuple(_row(each, threshold) for each in curves))


def by_layer(curves: Sequence[Curves]) -> Table:
    """The mean probability of the label after each layer; a cell is empty past the last."""
    depth = max(each.layers for each in curves)
    means = [each.mean() for each in curves]
    rows = tuple(
        (
            str(layer + 1),
            *(f"{mean[layer]:.3f}" if layer < len(mean) else "" for mean in means),
        )
        for layer in range(depth)
    )
    return Table(("layer", *(each.label for each in curves)), rows)


def _row(curves: Curves, threshold: float) -> tuple[str, ...]:
    first = curves.first_above(threshold)
    # A question that is never sure comes after all that are: it must not make a student look early.
    numbers = [layer if layer is not None else curves.layers + 1 for layer in first]
    quartiles = np.percentile(numbers, [25, 50, 75], method="higher")
    cells = ("never" if q > curves.layers else f"{q:g}" for q in quartiles)
    never = sum(layer is None for layer in first)
    return (curves.label, str(len(first)), str(curves.layers), *cells, str(never))


def _last_norm(base: Any) -> Any:
    inner = base.base_model
    inner = getattr(inner, "decoder", inner)
    for name in _LAST_NORMS:
        norm = getattr(inner, name, None)
        if norm is not None:
            return norm
    raise InputError(
        f"the lens is not available yet for {base.config.model_type} models: their last norm is "
        f"none of {', '.join(_LAST_NORMS)}"
    )
