"""The settings of sampling and of thinking, as an op or an engine's defaults may write them.

Knows nothing of prompts or of any one op.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from raygen.engines import Thinking
from raygen.ops.base import OpParams


def _is_none(value: Any) -> bool:
    return value is None


Bias = Annotated[float, Field(ge=-100, le=100)]
Keep = Literal["drop", "column"]


class SamplingSettings(OpParams):
    """What else than temperature and top_p decides a draw; unset, it is left to the backend.

    Left out of a plan's hash where it is unset: plans made before it existed stay the same.
    """

    top_k: int | None = Field(
        None,
        ge=-1,
        exclude_if=_is_none,
        description="draw from the k most probable tokens; 0 and -1: from all",
    )
    min_p: float | None = Field(
        None,
        ge=0,
        le=1,
        exclude_if=_is_none,
        description="leave out tokens less probable than this share of the most probable one",
    )
    presence_penalty: float | None = Field(
        None, ge=-2, le=2, exclude_if=_is_none, description="against tokens that were written"
    )
    frequency_penalty: float | None = Field(
        None,
        ge=-2,
        le=2,
        exclude_if=_is_none,
        description="against tokens, by how often they were written",
    )
    repetition_penalty: float | None = Field(
        None,
        gt=0,
        le=10,
        exclude_if=_is_none,
        description="divides the logits of tokens of prompt and answer; 1 changes nothing",
    )
    logit_bias: dict[int, Bias] | None = Field(
        None, exclude_if=_is_none, description="id of a token, in quotes: what is added"
    )
    extra: dict[str, Any] | None = Field(
        None,
        exclude_if=_is_none,
        description="what else the backend takes, by its own names: vLLM's SamplingParams, or "
        "keys of an endpoint's request",
    )


class EngineSampling(SamplingSettings):
    """An engine's defaults for all of its ops; null leaves a setting out of the request."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, description="tokens of an answer at most")


class ThinkingSettings(OpParams):
    """How a reasoning model thinks, and whether its thoughts are kept."""

    mode: Literal["on", "off", "auto"] = Field(
        "auto", description="auto: as the model does by itself"
    )
    budget: int | None = Field(
        None,
        ge=1,
        exclude_if=_is_none,
        description="tokens of a thought at most, beside max_tokens, which the answer has; by "
        "default as many as max_tokens",
    )
    effort: Literal["low", "medium", "high"] | None = Field(
        None, exclude_if=_is_none, description="for models that know efforts"
    )
    keep: Keep = Field("drop", description="leave the thoughts out, or in column `thinking`")

    @property
    def of_engine(self) -> Thinking:
        """What of it the engine is to do; what becomes of the thoughts is the op's."""
        return Thinking(self.mode, self.budget, self.effort)
