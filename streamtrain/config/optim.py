"""How student.yaml sets the optimizer and the length of the run.

Knows nothing of losses, data or torch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from streamtrain.config.base import ConfigSection, Positive, Rate, Weight


class OptimConfig(ConfigSection):
    """AdamW and the length of the run: `epochs`, or `max_steps`."""

    lr: Rate = 3e-5
    batch: Positive = 8
    """Examples in a global batch, over all workers."""
    epochs: Positive | None = None
    max_steps: Positive | None = None
    schedule: Literal["wsd", "linear", "cosine"] = "wsd"
    warmup: Annotated[float, Field(ge=0.0)] = 0.03
    """Below 1 a share of the run, else a number of steps."""
    clip: Rate | None = 1.0
    weight_decay: Weight = 0.0
    eps: Rate = 1e-8
    gradient_checkpointing: bool = False
    """Compute activations again for the gradients instead of keeping them: slower, less memory."""
    compile: bool = False
    """Compile the model's layers with torch.compile: slow first steps, faster later ones."""

    @field_validator("warmup")
    @classmethod
    def _share_or_whole_steps(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError(f"found {value}, expected a share below 1 or a whole number of steps")
        return value

    @model_validator(mode="after")
    def _one_length(self) -> OptimConfig:
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError("epochs and max_steps both set the length of the run; give one")
        return self
