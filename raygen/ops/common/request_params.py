"""How every op with an engine samples.

Knows nothing of any one op, or of prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from raygen.core import ColumnType
from raygen.engines import Completion, Sampling
from raygen.ops.base import Cost
from raygen.ops.common.prompts import PromptParams
from raygen.ops.common.sampling_settings import Keep, SamplingSettings, ThinkingSettings

MAX_SAMPLES = 1024
"""How many completions one request may have."""


class SamplingParams(SamplingSettings, PromptParams):
    """Sampling parameters, the same on every op that samples.

    A temperature or top_p that is null is left out of the request.
    """

    n: int = Field(1, ge=1, le=MAX_SAMPLES, description="completions per prompt, in one request")
    temperature: float | None = Field(0.7, ge=0, le=2)
    top_p: float | None = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    stop: tuple[str, ...] = Field((), description="texts that end a completion")
    seed: int = Field(0, ge=0, description="changes every draw of the node")
    thinking: Keep | ThinkingSettings = Field(
        "drop",
        description="a reasoning model's thoughts: leave out, or keep in column `thinking`; or "
        "{mode: on | off | auto, budget: tokens, effort: low | medium | high, keep: drop | column}",
    )

    # Left out of a plan's hash where it is the default: plans made before it existed stay the same.
    truncated: Literal["reject", "keep"] = Field(
        "reject",
        exclude_if=lambda value: value == "reject",
        description="an answer that was cut or broken off before it said what is asked: reject it, "
        "or read what is there",
    )

    @field_validator("thinking")
    @classmethod
    def _short_form(cls, value: Keep | ThinkingSettings) -> Keep | ThinkingSettings:
        """Read `{keep: column}` as the word that stands for it, which old plans have."""
        if isinstance(value, ThinkingSettings) and value.model_fields_set <= {"keep"}:
            return value.keep
        return value

    @model_validator(mode="after")
    def _different_samples(self) -> Self:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n is {self.n}, but at temperature 0 all samples are the same one")
        return self

    def sampling(self, seed: int) -> Sampling:
        """Make the request's sampling; the node's own seed moves the row's.

        It does so by as many steps as there may be samples: sample k has the request's seed plus k,
        so by single steps two seeds would share all samples but one.
        """
        return Sampling(
            n=self.n,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=self.stop,
            seed=(seed + MAX_SAMPLES * self.seed) % 2**31,
            top_k=self.top_k,
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            logit_bias=self.logit_bias,
            extra=self.extra,
            thinking=self.thinking.of_engine
            if isinstance(self.thinking, ThinkingSettings)
            else None,
        )

    def older_seed(self, seed: int | None) -> int | None:
        """Return what raygen 0.1.0, which moved it by single steps, made of the row's seed.

        `seed` is that of `sampling`. None where both are the same.
        """
        if seed is None or not self.seed:
            return None
        return (seed - (MAX_SAMPLES - 1) * self.seed) % 2**31

    @property
    def rejects_cut_off(self) -> bool:
        """Whether an answer that was cut off is rejected."""
        return self.truncated == "reject"

    def cost(self, calls: float = 1.0, rows: float | None = None) -> Cost:
        """Return the cost of this many calls; `rows` that come out default to n."""
        tokens = self.sampling(0).most_tokens
        return Cost(calls, self.n, tokens, float(self.n) if rows is None else rows)

    def thoughts(self, answer: Completion) -> dict[str, Any]:
        """Return the column `thinking`, if the recipe asks for it."""
        return {"thinking": answer.thinking} if self.keeps_thoughts else {}

    @property
    def thought_columns(self) -> Mapping[str, ColumnType]:
        """The declaration of the column `thinking`."""
        return {"thinking": "string"} if self.keeps_thoughts else {}

    @property
    def keeps_thoughts(self) -> bool:
        """Whether the thoughts become the column `thinking`."""
        kept = self.thinking.keep if isinstance(self.thinking, ThinkingSettings) else self.thinking
        return kept == "column"
