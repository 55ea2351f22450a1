"""Evaluations on disk: the metrics, and the student's answer to every question.

A run has one folder for each set of questions and each other way of asking them. Knows nothing of
models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from raygen.core import DamagedFileError, parse_json_object, read_json_lines, read_json_object
from raygen.dataset import Browsable, Entry, FolderKind
from streamtrain.errors import InputError
from streamtrain.evaluation.metrics import Evaluation
from streamtrain.heldout import Question
from streamtrain.run import FINAL, REPLACED, RESULT, check_output, refuse_links

EVALUATIONS = "evaluations"
PREDICTIONS = "predictions.jsonl"
FIGURES = "evaluation.json"
RATIONALES = "rationales.jsonl"
VERDICTS = "verdicts.json"


class _Figures(BaseModel):
    accuracy: float
    low: float
    high: float
    chance: float
    contrast: dict[str, Any] | None = None
    fidelity: dict[str, Any] | None = None


class _Answer(BaseModel):
    key: str
    correct: bool
    group: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One evaluation of a student, as plain data."""

    name: str
    figures: dict[str, Any]
    answers: tuple[dict[str, Any], ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its questions, in their order."""
        return tuple(answer["key"] for answer in self.answers)

    @property
    def right(self) -> list[bool]:
        """Whether each question was answered rightly."""
        return [answer["correct"] for answer in self.answers]


def evaluations_folder(student: Path) -> Path:
    """Locate the evaluations of a student: beside the run's result, or else in its own folder."""
    inside = student.name in (FINAL, REPLACED) and (student.parent / RESULT).exists()
    return (student.parent if inside else student) / EVALUATIONS


def check_record(folder: Path, name: str) -> None:
    """Raise InputError where the evaluation `name` would be written over what is none."""
    if folder.is_symlink():
        raise InputError(
            f"{folder} is a link; found one, expected a folder, since evaluations in it are "
            "replaced. Put a folder there"
        )
    check_output(folder / name, EVALUATION, "by the name of the file of questions")
    refuse_links(folder / name, "rename the file of questions")


def write_record(
    folder: Path, name: str, questions: Sequence[Question], evaluation: Evaluation
) -> Path:
    """Write `evaluation`, of one answer to each of `questions`, under the name `name` in `folder`,
    replacing an earlier one; returns its own folder.

    Raises InputError as `check_record` does, OSError.
    """
    check_record(folder, name)
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    # They may be those of an earlier state of the student.
    (target / RATIONALES).unlink(missing_ok=True)
    figures = {"set": name, **evaluation.to_json(predictions=False)}
    write_lines(target / PREDICTIONS, _answers(questions, evaluation))
    _replace(target / FIGURES, json.dumps(figures, indent=1) + "\n")
    return target


def _is_evaluation(folder: Browsable, entries: Sequence[Entry]) -> bool:
    """Whether a folder holds an evaluation, or what one that was killed wrote first."""
    names = {entry.name for entry in entries if entry.kind == "file"}
    if FIGURES in names:
        return _keys(folder.read_text(FIGURES)) >= {"set", "accuracy"}
    if PREDICTIONS in names:
        first = folder.read_text(PREDICTIONS).partition("\n")[0]
        return _keys(first) >= {"key", "question", "correct"}
    return {entry.name for entry in entries} <= {f".{PREDICTIONS}.tmp"}


def _keys(text: str) -> set[str]:
    try:
        return set(parse_json_object(text, FIGURES, "an object"))
    except DamagedFileError:
        return set()


EVALUATION = FolderKind("an evaluation of streamtrain", _is_evaluation)


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, replacing an earlier file. Raises OSError."""
    _replace(path, "".join(json.dumps(line) + "\n" for line in lines))


def write_annotations(student: Path, name: str, verdicts: Mapping[str, Any]) -> Path:
    """Write the verdicts on the rationales of an evaluation, replacing earlier ones; returns the
    file.

    Raises InputError if the student is gone, OSError.
    """
    target = evaluations_folder(student) / name
    if not target.is_dir():
        raise InputError(
            f"there is no evaluation {target} any more, which the sheet was made of; put the run "
            "back there, or correct `run` in the key"
        )
    check_record(evaluations_folder(student), name)
    _replace(target / VERDICTS, json.dumps(verdicts, indent=1) + "\n")
    return target / VERDICTS


def read_records(folder: Path) -> list[EvaluationRecord]:
    """Read the evaluations under `folder`, by name. Raises InputError if one can't be read."""
    records = []
    for file in sorted(folder.glob(f"*/{FIGURES}")):
        try:
            figures = read_json_object(file, "figures of an evaluation", _Figures)
            lines = file.parent / PREDICTIONS
            answers = read_json_lines(lines, "the answers of an evaluation", _Answer)
        except (OSError, DamagedFileError) as error:
            raise InputError(f"{file.parent} can't be read: {error}; evaluate it again") from error
        records.append(EvaluationRecord(file.parent.name, figures, tuple(answers)))
    return records


def _answers(questions: Sequence[Question], evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for question, prediction in zip(questions, evaluation.predictions, strict=True):
        yield {
            "key": question.key,
            "question": question.question,
            "choices": question.choices,
            "answer": question.answer,
            "group": question.group,
            "variant": question.variant,
            "correct": prediction.choice == question.answer,
            "choice": None,
            **prediction.to_json(),
            **({"teacher": asdict(question.teacher_answer)} if question.teacher_answer else {}),
        }


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
