"""How a student's file words a question and its answer, for an export that reads as it trains.

Knows the keys of `data` in a student.yaml; knows nothing of tokens or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from raygen.config import load_document
from raygen.core import TASKS, TemplateError, UserError, prompt_text, render

_LABEL, _RATIONALE = "{{ label }}", "{{ rationale }}"


class StudentForm(BaseModel):
    """The keys of `data` that say how an example is worded."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    rationale: Literal["after", "before", "none", "task"] = "after"
    label: Literal["letter", "text"] = "letter"
    marker: str = "[FIN_LABEL]"
    target: str | None = None
    input: str | None = None
    control: dict[str, str] | None = None

    @classmethod
    def read(cls, file: Path) -> StudentForm:
        """Read a student's file. Raises UserError where its `data` isn't as a student's."""
        data = load_document(file).data.get("data") or {}
        try:
            form = cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, ("data", *first["loc"])))
            raise UserError(f"{file}: {where}: {first['msg'].lower()}") from error
        if form.target is None and form.rationale == "task":
            raise UserError(
                f"{file}: data.rationale: task makes two inputs of an example, and an export has "
                "one; use --input and --target, once for each"
            )
        return form

    def prompt(self, row: Mapping[str, Any], task: str) -> str:
        """Write the input of an example. Raises UserError."""
        control = (self.control or {}).get(str(row.get("view")), "")
        refuted = row.get("refuted") if row.get("label") is None else None
        text = str(row[TASKS[task].stem])
        if task != "multiple_choice":
            return self._filled({"text": text}) if self.input else text
        if self.input is None:
            return prompt_text(text, row["choices"], control, refuted)
        return self._filled(
            {
                "question": text.strip(),
                "choices": list(row["choices"]),
                "letters": list(ascii_uppercase[: len(row["choices"])]),
                "control": control,
                "task": "",
                "refuted": refuted or "",
            }
        )

    def reply(self, row: Mapping[str, Any], task: str) -> str:
        """Write the target of an example. Raises UserError where it lacks what that shows."""
        why = (row.get("rationale") or "").strip()
        if row.get("refuted") and row.get("label") is None:
            return why
        form = self._target()
        if _RATIONALE in form and not why:
            raise UserError(
                f"example {row.get('id')} has no rationale, which the student's target shows; "
                "choose others by --view, or set data.rationale: none"
            )
        # At once: a rationale may have the words of a placeholder.
        before, _, after = form.partition(_LABEL)
        label = self._label(row, task)
        return (before.replace(_RATIONALE, why) + label + after.replace(_RATIONALE, why)).strip()

    def _target(self) -> str:
        if self.target is not None:
            return self.target.replace("{{label}}", _LABEL).replace("{{rationale}}", _RATIONALE)
        announced = f"{self.marker} {_LABEL} {self.marker}"
        return {
            "after": f"{announced} {_RATIONALE}",
            "before": f"{_RATIONALE} {announced}",
            "none": announced,
            "task": announced,
        }[self.rationale]

    def _label(self, row: Mapping[str, Any], task: str) -> str:
        gold = TASKS[task].answer or "answer"
        value = row.get(gold) if row.get("label") is None else row["label"]
        if task != "multiple_choice" and value is not None:
            return str(value)
        options = row.get("choices") or []
        if not isinstance(value, int) or not 0 <= value < len(options):
            raise UserError(f"example {row.get('id')}: its answer is {value!r}, which no option is")
        return ascii_uppercase[value] if self.label == "letter" else str(options[value]).strip()

    def _filled(self, values: Mapping[str, Any]) -> str:
        assert self.input is not None  # noqa: S101 - asked for where there is one
        try:
            return render(self.input, values).strip()
        except TemplateError as error:
            raise UserError(f"data.input of the student: {error}") from error
