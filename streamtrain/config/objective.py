"""The objective of student.yaml: the loss and what it is made of.

Knows nothing of kinds of student or of tensors.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from raygen.engines import model_name
from streamtrain.config.base import ConfigSection, Positive, Rate, Weight, refuse_keys


class SpanWeights(ConfigSection):
    """What a token of each span weighs in the loss."""

    rationale: Weight = 1.0
    label: Weight = 1.0

    @model_validator(mode="after")
    def _something_is_learned(self) -> SpanWeights:
        if self.rationale == self.label == 0:
            raise ValueError("rationale and label are both 0, so nothing would be learned")
        return self


class TeacherConfig(ConfigSection):
    """The model whose predictions a student imitates."""

    model: Annotated[str, Field(min_length=1)]
    revision: str | None = None

    @property
    def name(self) -> str:
        """What a dataset says of whose soft labels and token probabilities it has."""
        return model_name(self.model, self.revision)


Share = Annotated[float, Field(ge=0.0, le=1.0)]

_OF_KD = ("alpha", "beta", "temperature", "teacher", "soft_labels", "layers")


class ObjectiveConfig(ConfigSection):
    """The loss. `lm` is that of texts, `ce` that of a classifier; `kd` adds a teacher to it."""

    loss: Literal["lm", "ce", "kd"] | None = None
    """Absent: lm, for a classifier ce. kd (arXiv 2510.21631) is ce + alpha KL + beta MSE; of a
    causal student lm + alpha KL at the tokens of the rationale, toward those that the dataset
    recorded as the teacher's most probable (`token_probabilities`)."""
    weights: SpanWeights = SpanWeights()
    normalise: Literal["tokens", "span"] = "tokens"
    """What weighs the same: each token, or each span whatever its length."""
    label_share: Share = 0.5
    """What the task of the label weighs, where the rationale is a task of its own."""
    counterfactual_share: Share | None = None
    """What the counterfactual rows weigh together, whose loss is on the label alone (SCOTT, arXiv
    2305.01879; its prefixes are `data.control`); absent: they are rows like the others."""
    alpha: Weight | None = None
    """What the divergence from the teacher weighs, at `temperature` and times its square. Absent:
    20, as the paper's; of a causal student 1."""
    beta: Weight = 0.0
    """What the distance from the teacher's hidden states weighs, projected, mean over `layers`."""
    temperature: Rate = 2.0
    teacher: TeacherConfig | None = None
    soft_labels: Literal["dataset", "teacher"] = "dataset"
    """Whose probabilities: those that the dataset recorded of `teacher`, or the teacher's now."""
    layers: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)] | None = None
    """(student's, teacher's) layers that are compared, counted from 1; absent: every second one of
    the teacher, and the student's at the same share of its depth."""
    paired: Weight | None = None
    """The paired variant, with `data.pairs`: instead of ce, CE(counterfactual) +
    paired |CE(original) - CE(counterfactual)|."""

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
        """Return `alpha`, or the kind's default."""
        return default if self.alpha is None else self.alpha

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher itself is needed, beside what the dataset recorded of it."""
        return self.loss == "kd" and (self.soft_labels == "teacher" or self.beta > 0)
