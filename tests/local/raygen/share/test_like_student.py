"""An export --like a student is, word for word, what that student reads and learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from raygen.core.errors import UserError
from raygen.share.student_form import StudentForm
from streamtrain.config import DataConfig
from streamtrain.data.examples import make_example

ROW: dict[str, Any] = {
    "id": "i", "question": " What is cold? ", "choices": ["fire", " snow"], "answer": 1,
    "label": 0, "rationale": "Fire {{ label }} burns.", "view": "negative", "refuted": None,
}  # fmt: skip
REFUTING = {**ROW, "label": None, "refuted": "fire"}
INPUT = "{{ control }} {{ question }} {{ letters | join('/') }}{% for c in choices %} {{ c }}{% endfor %} {{ refuted }}"  # noqa: E501


@pytest.mark.parametrize("row", [ROW, REFUTING, {**ROW, "label": None}])
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"rationale": "before", "marker": "[L]"},
        {"rationale": "none", "label": "text"},
        {"target": "{{ rationale }} So the answer is ({{ label }})."},
        {"target": "({{label}}): {{rationale}}", "control": {"negative": "[No]"}},
        {"input": INPUT, "control": {"negative": "[No]"}},
    ],
)
def test_prompt_and_target_are_those_of_streamtrain(
    tmp_path: Path, data: dict[str, Any], row: dict[str, Any]
) -> None:
    file = tmp_path / "student.yaml"
    file.write_text(yaml.safe_dump({"student": "s", "data": data}))
    form = StudentForm.read(file)
    example = make_example(row, DataConfig.model_validate(data))
    assert form.prompt(row, "multiple_choice") == example.prompt
    target = "".join(span.text for span in example.target)
    assert form.reply(row, "multiple_choice") == target.strip()


def test_what_an_export_cannot_be_like_is_said(tmp_path: Path) -> None:
    file = tmp_path / "student.yaml"
    file.write_text("data: {rationale: task}")
    with pytest.raises(UserError, match="two inputs"):
        StudentForm.read(file)
    file.write_text("data: {input: 5}")
    with pytest.raises(UserError, match=r"data\.input: input should be a valid string"):
        StudentForm.read(file)
    file.write_text("{}")
    with pytest.raises(UserError, match="has no rationale"):
        StudentForm.read(file).reply({**ROW, "rationale": None}, "multiple_choice")
