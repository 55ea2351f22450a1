"""The objective of student.yaml: the loss and what it is made of.

Knows nothing of kinds of student or of tensors.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from raygen.engines import model_name
from streamtrain.config.base import Address, ConfigSection, Positive, Rate, Weight, refuse_keys


class SpanWeights(ConfigSection):
    """Loss weight of a token, by the span that it is in."""

    rationale: Weight = 1.0
    label: Weight = 1.0

    @model_validator(mode="after")
    def _something_is_learned(self) -> SpanWeights:
        if self.rationale == self.label == 0:
            raise ValueError("rationale and label are both 0, so nothing would be learned")
        return self


class TeacherConfig(ConfigSection):
    """The model whose predictions the student is distilled from."""

    model: Annotated[Address, Field(min_length=1)]
    revision: str | None = None

    @property
    def name(self) -> str:
        """The teacher's name as a dataset records it beside soft labels and token probabilities."""
        return model_name(self.model, self.revision)


Share = Annotated[float, Field(ge=0.0, le=1.0)]

_OF_KD = ("alpha", "beta", "temperature", "teacher", "soft_labels", "layers")


class ObjectiveConfig(ConfigSection):
    """The loss. `lm` is that of texts, `ce` that of a classifier; `kd` adds a teacher to it."""

    loss: Literal["lm", "ce", "kd"] | None = None
    """Absent: lm, or ce for a classifier. For a classifier kd is ce + alpha KL + beta MSE (arXiv
    2510.21631); for a causal student lm + alpha KL at the tokens of the rationale, toward the most
    probable tokens of the teacher that the dataset recorded (`token_probabilities`)."""
    weights: SpanWeights = SpanWeights()
    normalise: Literal["tokens", "span"] = "tokens"
    """What has the same weight: each token, or each span whatever its length."""
    label_share: Share = 0.5
    """Share of the loss that the label task has, with the rationale as a task of its own."""
    counterfactual_share: Share | None = None
    """Share of the loss that the counterfactual rows have together, with a loss on the label alone
    (SCOTT, arXiv 2305.01879; its prefixes are `data.control`); absent: they count like other rows.
    """
    alpha: Weight | None = None
    """Weight of the KL divergence from the teacher, computed at `temperature` and multiplied by its
    square. Absent: 20 for a classifier, as in the paper; 1 for a causal student."""
    beta: Weight = 0.0
    """Weight of the MSE between the student's projected hidden states and the teacher's, mean over
    `layers`."""
    temperature: Rate = 2.0
    teacher: TeacherConfig | None = None
    soft_labels: Literal["dataset", "teacher"] = "dataset"
    """Where the soft labels come from: recorded in the dataset, or computed by the teacher during
    training."""
    layers: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)] | None = None
    """Pairs (student layer, teacher layer) that are compared, counted from 1; absent: every second
    layer of the teacher with the student's at the same relative depth."""
    paired: Weight | None = None
    """The paired loss, with `data.pairs`: CE(counterfactual) + paired |CE(original) -
    CE(counterfactual)| in place of ce."""

    @model_validator(mode="after")
    def _keys_of_the_loss(self) -> ObjectiveConfig:
        if self.loss != "kd":
            refuse_keys(self, _OF_KD, "belong to loss: kd")
        elif self.teacher is None:
            raise ValueError("loss: kd needs teacher: {model: ...}")
        if self.beta == 0 and self.layers is not None:
            raise ValueError("layers are compared only with beta above 0")
        return self

    def divergence_weight(self, default: float) -> float:
        """Return `alpha`, or the default of the kind of student."""
        return default if self.alpha is None else self.alpha

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher model itself has to be loaded, beyond what the dataset recorded of
        it."""
        return self.loss == "kd" and (self.soft_labels == "teacher" or self.beta > 0)
