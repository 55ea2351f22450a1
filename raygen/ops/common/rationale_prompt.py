"""The prompt that asks for a rationale: its demonstrations, and what the teacher sees of a row.

The op that samples rationales and the one that reads how probable they are share it. Knows nothing
of engines.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from raygen.core import TASKS, Row, Task
from raygen.engines import Prompt
from raygen.ops.base import OpParams
from raygen.ops.common.completions import answer_words, gold_answer
from raygen.ops.common.options import require_options, template_row
from raygen.ops.common.prediction import HIDDEN
from raygen.ops.common.prompts import PromptParams


class Demonstration(OpParams):
    """One worked example: a question with choices, a text with a label, or a free question.

    `answer` is written as in a source row; `label` is a classification's.
    """

    question: str | None = None
    text: str | None = None
    choices: tuple[str, ...] | None = None
    answer: int | float | str | None = None
    label: str | None = None
    rationale: str

    def rendered(self, task: Task) -> dict[str, Any]:
        """Return the fields that templates see; `answer` is a choice's index.

        Adds `stem`, `options`, `gold` (the right option's index, None without options) and
        `gold_text`. Raises ValueError if it doesn't fit the task.
        """
        written = {k: v for k, v in self.model_dump().items() if v is not None}
        extra = set(written) - {*task.columns, "rationale", "answer"}
        if extra:
            raise ValueError(
                f"a demonstration has {', '.join(sorted(extra))}, which task {task.name} "
                "doesn't know"
            )
        data = task.normalise(written)
        gold: int | None = None
        if task.name == "free_text":
            if "answer" not in data:
                raise ValueError("a demonstration has no answer")
            gold_text = str(data["answer"])
        else:
            gold = task.gold(data)
            gold_text = task.options(data)[gold]
        return {
            **data,
            "stem": data[task.stem],
            "options": task.options(data),
            "gold": gold,
            "gold_text": gold_text,
        }


def read_demonstrations(value: tuple[Demonstration, ...] | str) -> tuple[Demonstration, ...]:
    """Read demonstrations from a list, or from the lines of a `.jsonl` file's text.

    Those with choices are checked at once. Raises ValueError, for a bad line pydantic's.
    """
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        value = tuple(Demonstration.model_validate_json(line) for line in lines)
    for demonstration in value:
        if demonstration.choices is not None:
            demonstration.rendered(TASKS["multiple_choice"])
    return value


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
    def prompt_fields(self) -> frozenset[str]:
        """The fields that its prompt gets in addition to the row's."""
        fields = frozenset({"demonstrations", "stem", "options"})
        return fields if self.hidden else fields | {"gold", "gold_text"}

    def rendered_demonstrations(self, task: Task) -> list[dict[str, Any]]:
        """Return the demonstrations as templates see them. Raises ValueError."""
        return [d.rendered(task) for d in self.demonstrations if isinstance(d, Demonstration)]

    @property
    def default(self) -> str:
        """The name of the default prompt for the label mode."""
        return f"sample_rationales_{self.label}"

    def templates(self) -> dict[str, str]:
        """Return the templates of the prompt by parameter."""
        return self.prompt_templates(self.default)

    def check(self, task: Task, op: str) -> None:
        """Raise ValueError if the task lacks options, or if a demonstration doesn't fit it."""
        if task.name != "free_text":
            require_options(task, op)
        self.rendered_demonstrations(task)

    def render_prompt(self, row: Row, task: Task) -> Prompt:
        """Render the prompt for a row."""
        fields = template_row(row, task)
        if self.hidden:
            fields = {name: value for name, value in fields.items() if name not in HIDDEN}
        else:
            gold = gold_answer(row.data, task)
            fields["gold"] = None if task.name == "free_text" else gold
            fields["gold_text"] = answer_words(gold, row.data, task)
        demonstrations = self.rendered_demonstrations(task)
        return self.make_prompt(self.default, {**fields, "demonstrations": demonstrations})
