"""Worked examples for a few-shot prompt, from the recipe or from a file that it names.

Knows nothing of engines or any one op.
"""

from __future__ import annotations

from typing import Any

from raygen.core import TASKS, Task
from raygen.ops.base import OpParams


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
        """Return the demonstration as templates see it; `answer` is a choice's index.

        Beside its own columns it has `stem`, `options`, `gold` (the right option's index, None
        without options) and `gold_text`. Raises ValueError where it isn't one of the task.
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
    """Return the demonstrations of a list, or of the lines of a `.jsonl` file.

    Those with choices are checked at once. Raises ValueError, pydantic's where a line is amiss.
    """
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        value = tuple(Demonstration.model_validate_json(line) for line in lines)
    for demonstration in value:
        if demonstration.choices is not None:
            demonstration.rendered(TASKS["multiple_choice"])
    return value
