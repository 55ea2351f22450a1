"""Word examples of a task as prompts and replies, where nothing else is asked for.

Knows nothing of formats or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.core import TASKS, UserError, option_letter, prompt_text

REASONED = "Think step by step, then give the answer."
ANSWERED = "Give the answer."
REFUTED = "Say why the option named under Refute is wrong."


@dataclass(frozen=True, slots=True)
class InstructionPair:
    """An example as a prompt with its reply; `instruction` says what kind of reply is expected."""

    instruction: str
    prompt: str
    reply: str


@dataclass(frozen=True, slots=True)
class TaskWording:
    """Words examples of a task as prompts and replies; `labels` are a classification's classes."""

    task: str
    labels: Sequence[str]

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> TaskWording:
        """Make the wording for a plan. Raises UserError where examples lack the task's columns."""
        wording = cls(plan["task"], tuple(plan["labels"]))
        missing = [name for name in wording._needed() if name not in plan["columns"]]
        if missing:
            raise UserError(
                f"the examples have no column {missing[0]!r}, which this format needs; they "
                f"have {', '.join(plan['columns'])}. Export them as they are: --format jsonl; or "
                "as chats, with --input and --target that say what to write"
            )
        return wording

    def turn(self, row: Mapping[str, Any]) -> InstructionPair:
        """Word an example: the prompt as for streamtrain's students; rationale and answer as reply.

        The answer is the row's `label`, else its gold answer; a row that refutes an option and has
        no label gets the rationale only, and a rejected one without a label what was said. Raises
        UserError where there is no reply, or the answer is no option.
        """
        rationale = (row.get("rationale") or "").strip()
        refuted = row.get("refuted") if row.get("label") is None else None
        answer = None if refuted else self._answer(row)
        if row.get("reject_reason") and row.get("label") is None:
            rationale, answer = (row.get("said") or rationale).strip(), None
        announced = None if answer is None else f"So the answer is: {answer}"
        reply = "\n".join(filter(None, [rationale, announced]))
        if not reply:
            raise UserError(f"example {row.get('id')} has neither a rationale nor an answer")
        instruction = REFUTED if refuted else REASONED if rationale else ANSWERED
        return InstructionPair(instruction, self._prompt(row, refuted), reply)

    def _needed(self) -> list[str]:
        stem = TASKS[self.task].stem
        return [stem, "choices"] if self.task == "multiple_choice" else [stem]

    def _prompt(self, row: Mapping[str, Any], refuted: str | None) -> str:
        if self.task == "multiple_choice":
            return prompt_text(row["question"], row["choices"], refuted=refuted)
        if self.task == "free_text":
            return f"Question: {row['question'].strip()}\nAnswer:"
        classes = f"Classes: {', '.join(self.labels)}\n" if self.labels else ""
        refute = f"Refute: {refuted}\n" if refuted else ""
        return f"Text: {row['text'].strip()}\n{classes}{refute}Answer:"

    def _answer(self, row: Mapping[str, Any]) -> str | None:
        gold = TASKS[self.task].answer or "answer"
        label = row.get("label")
        value = row.get(gold) if label is None else label
        if value is None or self.task != "multiple_choice":
            return None if value is None else str(value)
        options = row["choices"]
        if not isinstance(value, int) or not 0 <= value < len(options):
            raise UserError(
                f"example {row.get('id')}: its answer is {value!r}; expected an option's index, "
                f"from 0 to {len(options) - 1}"
            )
        return f"({option_letter(value)}) {options[value]}"
