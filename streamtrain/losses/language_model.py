"""The objective of a student that writes: the language-model loss on targets, and distillation from
top-k token probabilities.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch

from raygen.engines.models import vocabulary_fingerprint
from streamtrain.config import StudentConfig
from streamtrain.data import (
    Batch,
    ExampleTokenizer,
    TokenizedExample,
    TopKTargets,
    collate,
    make_example,
    make_factual,
    make_tasks,
    read_top_k_targets,
    split_micro_batches,
)
from streamtrain.errors import InputError
from streamtrain.losses.functional import top_k_kl_divergences, weighted_nll
from streamtrain.models import Student, check_writable, pad_targets, target_logits

TOKEN_ALPHA = 1.0
"""Default weight of the divergence from a teacher's tokens."""


class LanguageModelObjective:
    """The language-model loss over the examples of dataset rows."""

    def __init__(
        self, student: Student, tokenizer: ExampleTokenizer, config: StudentConfig
    ) -> None:
        """Raise InputError for a target that the student can't learn to write."""
        if student.adapter:
            form = config.data.form
            around = (form.opening, form.end, form.why_opening, form.why_end)
            check_writable(student.model, student.tokenizer, around)
        self._student = student
        self._tokenizer = tokenizer
        self._data = config.data
        self._objective = config.objective
        label_share, counterfactual = (
            config.objective.label_share,
            config.objective.counterfactual_share,
        )
        self._shares = {"": 1.0}
        if self._data.form.placement == "task":
            self._shares = {"label": label_share, "rationale": 1 - label_share}
        elif counterfactual is not None:
            self._shares = {"factual": 1 - counterfactual, "counterfactual": counterfactual}

    @property
    def shares(self) -> Mapping[str, float]:
        """The weight of each part of the loss."""
        return self._shares

    def samples(self, row: Mapping[str, Any], weight: float) -> list[TokenizedExample]:
        """Tokenize a row's examples. Raises InputError for a row that is none."""
        if "rationale" in self._shares:
            examples = make_tasks(row, self._data, weight)
        elif "factual" in self._shares:
            examples = [make_factual(row, self._data, weight)]
        else:
            examples = [make_example(row, self._data, weight)]
        if self._objective.loss == "kd":
            top_k = self._top_k_targets(row)
            examples = [replace(example, top_k=top_k) for example in examples]
        return [self._tokenizer.example(example) for example in examples]

    @cached_property
    def _vocabulary(self) -> str:
        return vocabulary_fingerprint(self._student.tokenizer)

    def _top_k_targets(self, row: Mapping[str, Any]) -> TopKTargets:
        assert self._objective.teacher is not None  # noqa: S101 - the objective's own rule
        top_k = read_top_k_targets(row, self._objective.teacher.name)
        if top_k.vocabulary != self._vocabulary:
            raise InputError(
                f"{top_k.row}: its token probabilities are of another vocabulary than the student "
                "reads; take a student of the teacher's family, or loss: lm, which needs none"
            )
        return top_k

    def losses(
        self, samples: Sequence[TokenizedExample], capacity: int
    ) -> list[Callable[[], torch.Tensor]]:
        """Split samples into micro-batches; see `Objective`.

        An encoder-decoder batches sequences of similar length, `pack` or not: its cross-attention
        can't be kept inside a packed sequence without patching the model.
        """
        pack = self._data.pack and self._student.kind == "causal"
        groups = split_micro_batches(samples, capacity, pack)
        return [partial(self._group_loss, group) for group in groups]

    def _group_loss(self, group: Sequence[Sequence[TokenizedExample]]) -> torch.Tensor:
        if self._student.kind == "seq2seq":
            return self._target_loss(group)
        batch = collate(group, self._student.pad, self._student.flash)
        return self._loss(batch.to(self._student.device))

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Compute the loss of a batch; the head runs at predicted positions alone."""
        positions = (batch.weights[:, 1:] > 0).any(dim=0).nonzero()[:, 0]
        weights, targets = batch.weights[:, positions + 1], batch.ids[:, positions + 1]
        chosen = weights > 0
        logits = self._student.logits(batch, positions)[chosen]
        loss = weighted_nll(logits, targets[chosen], weights[chosen])
        if batch.soft is None:
            return loss
        numbers = batch.soft.numbers[:, positions + 1][chosen]
        has_targets = numbers >= 0
        ids, logprobs = (
            batch.soft.ids[numbers[has_targets]],
            batch.soft.logprobs[numbers[has_targets]],
        )
        divergence = top_k_kl_divergences(
            logits[has_targets], ids, logprobs, self._objective.temperature
        )
        alpha = self._objective.divergence_weight(TOKEN_ALPHA)
        return loss + alpha * (divergence * weights[chosen][has_targets]).sum()

    def _target_loss(self, group: Sequence[Sequence[TokenizedExample]]) -> torch.Tensor:
        """Compute the summed weighted loss of a micro-batch of an encoder-decoder."""
        sequences = [sequence for row in group for sequence in row]
        batch = pad_targets(
            self._student,
            [example.encoder_ids for example in sequences],
            [example.ids for example in sequences],
        )
        weights = torch.tensor([weight for example in sequences for weight in example.weights])
        chosen = batch.labels >= 0
        logits = target_logits(self._student, batch)[chosen]
        return weighted_nll(logits, batch.labels[chosen], weights.to(self._student.device))
