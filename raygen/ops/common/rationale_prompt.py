"""The prompt that asks for a rationale: what the teacher sees of a row, and what is hidden from it.

The same for the op that samples rationales and for one that reads how probable they are. Knows
nothing of engines.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from raygen.core import Row, Task, render
from raygen.ops.common.completions import answer_words, gold_answer
from raygen.ops.common.demonstrations import Demonstration, read_demonstrations
from raygen.ops.common.options import require_options, template_row
from raygen.ops.common.prediction import HIDDEN
from raygen.ops.common.prompt_files import default_prompt
from raygen.ops.common.sampling import PromptParams


class ReasoningParams(PromptParams):
    """How a teacher is asked for a rationale."""

    label: Literal["hidden", "shown"] = Field(
        "hidden", description="whether the teacher is shown the gold answer"
    )
    demonstrations: tuple[Demonstration, ...] | str = Field(
        (), description="worked examples: a list, or {file: demos.jsonl}"
    )
    prompt: str | None = Field(None, description="a template in place of the default prompt")

    @field_validator("demonstrations")
    @classmethod
    def _readable(cls, value: tuple[Demonstration, ...] | str) -> tuple[Demonstration, ...]:
        return read_demonstrations(value)

    @property
    def hidden(self) -> bool:
        """Whether the teacher has to find the answer itself."""
        return self.label == "hidden"

    @property
    def hides(self) -> frozenset[str]:
        """The columns that its prompt may not read."""
        return HIDDEN if self.hidden else frozenset()

    @property
    def given(self) -> frozenset[str]:
        """The fields that its prompt gets beside the row's own."""
        asked = frozenset({"demonstrations", "stem", "options"})
        return asked if self.hidden else asked | {"gold", "gold_text"}

    def worked(self, task: Task) -> list[dict[str, Any]]:
        """Return the demonstrations as templates see them. Raises ValueError."""
        return [d.rendered(task) for d in self.demonstrations if isinstance(d, Demonstration)]

    def template(self) -> str:
        """Return the recipe's prompt, or the default one for the label mode."""
        return self.prompt or default_prompt(f"sample_rationales_{self.label}")

    def check(self, task: Task, op: str) -> None:
        """Raise ValueError where the task has no options, or a demonstration isn't one of it."""
        if task.name != "free_text":
            require_options(task, op)
        self.worked(task)

    def asked(self, row: Row, task: Task) -> str:
        """Return the text of the prompt for a row."""
        fields = template_row(row, task)
        if self.hidden:
            fields = {name: value for name, value in fields.items() if name not in HIDDEN}
        else:
            gold = gold_answer(row.data, task)
            fields["gold"] = None if task.name == "free_text" else gold
            fields["gold_text"] = answer_words(gold, row.data, task)
        return render(self.template(), {**fields, "demonstrations": self.worked(task)})
