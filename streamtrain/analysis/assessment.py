"""Evaluate a finished student on sets of questions, in every requested way, and keep the records.

Knows nothing of the command line or of how a student answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from streamtrain.analysis.contamination import check_contamination
from streamtrain.analysis.teacher_inference import infer_teacher_answers
from streamtrain.config import StudentConfig, View
from streamtrain.data import ExampleTokenizer, make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation import (
    RATIONALES,
    EngineName,
    Evaluation,
    How,
    Samples,
    check_record,
    engine_for,
    evaluations_folder,
    fidelity_table,
    predict,
    predict_by_vote,
    prompt_format,
    score_predictions,
    write_lines,
    write_record,
)
from streamtrain.heldout import Prediction, Question, read_held_out
from streamtrain.models import Student, default_device
from streamtrain.rationales import WrittenRationale, check_writes_rationales, write_rationales
from streamtrain.tables import TextTable
from streamtrain.training import find_student, read_outcome


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How every set is evaluated: `samples` takes majority votes, `how` None is as trained.

    `teacher` is a model to compute fidelity to; `rationales` keeps the student's rationales beside
    its answers.
    """

    views: tuple[View, ...] = ("positive",)
    how: How | None = None
    samples: Samples | None = None
    backend: EngineName | None = None
    teacher: str | None = None
    rationales: bool = False


@dataclass(frozen=True, slots=True)
class Assessment:
    """One set evaluated in one way; `name` is the set's, with a suffix for a way that isn't the
    default."""

    name: str
    evaluation: Evaluation


@dataclass(slots=True)
class _LazyStudent:
    """A student in its folder, loaded when it first answers without an engine."""

    folder: Path
    config: StudentConfig
    loaded: list[Student] = field(default_factory=list)

    def answers(
        self, questions: Sequence[Question], ways: EvaluationOptions, view: View
    ) -> list[Prediction]:
        """Answer a set of questions."""
        how = prompt_format(self.config.data, ways.how, view)
        if ways.samples is not None:
            backend = ways.backend or engine_for(self.folder, self.config.kind)
            return predict_by_vote(self.folder, questions, how, ways.samples, backend)
        student, tokenizer = self._load()
        return predict(student, tokenizer, questions, how)

    def rationales(
        self, questions: Sequence[Question], view: View, answers: Sequence[Prediction]
    ) -> list[WrittenRationale]:
        """Generate a rationale for each question, given the student's answers to them."""
        student, tokenizer = self._load()
        how = prompt_format(self.config.data, None, view)
        return write_rationales(student, tokenizer, questions, how, answers)

    def _load(self) -> tuple[Student, ExampleTokenizer]:
        if not self.loaded:
            self.loaded.append(read_outcome(self.folder, default_device())[0])
        return self.loaded[0], make_example_tokenizer(self.config, self.loaded[0].tokenizer)


def evaluate_sets(
    checkpoint: Path,
    files: Sequence[Path],
    ways: EvaluationOptions,
    remark: Callable[[str], None] = lambda text: None,
) -> Iterator[Assessment]:
    """Evaluate the student on each set in each view; yields every evaluation once it is written.

    `checkpoint` is a run's folder or the student's in it, `files` are the sets, `ways` how to
    evaluate them; `remark` is called with the rows that are left out, and with what could not be
    checked. Raises InputError for a set or student that can't be read, and for a set that the
    student was trained on or that selected its step, before any question is asked.
    """
    folder, config = find_student(checkpoint)
    _check(config, files, ways)
    for file in files:
        for view in ways.views:
            check_record(evaluations_folder(folder), _name(file.stem, ways, view))
    labels = config.data.labels or ()
    held_out = [read_held_out(file, labels) for file in files]
    for note in filter(None, (each.note for each in held_out)):
        remark(note)
    sets = [each.questions for each in held_out]
    named = {str(file): questions for file, questions in zip(files, sets, strict=True)}
    for unchecked in check_contamination(folder, config, named):
        remark(f"{unchecked}, so whether it has these questions was not checked")
    if ways.teacher is not None:
        sets = infer_teacher_answers(ways.teacher, config, sets)
    lazy_student = _LazyStudent(folder, config)
    for read, questions in zip(held_out, sets, strict=True):
        for view in ways.views:
            predictions = lazy_student.answers(questions, ways, view)
            scores = score_predictions(questions, predictions)
            evaluation = replace(scores, invalid=len(read.invalid))
            name = _name(read.path.stem, ways, view)
            written_to = write_record(evaluations_folder(folder), name, questions, evaluation)
            if ways.rationales:
                written = lazy_student.rationales(questions, view, evaluation.predictions)
                write_lines(written_to / RATIONALES, _lines(questions, written))
            yield Assessment(name, evaluation)


def _lines(
    questions: Sequence[Question], written: Sequence[WrittenRationale]
) -> Iterator[dict[str, Any]]:
    for question, rationale in zip(questions, written, strict=True):
        yield {
            "key": question.key,
            "question": question.question,
            "choices": question.choices,
            "answer": question.answer,
            **asdict(rationale),
        }


def _check(config: StudentConfig, files: Sequence[Path], ways: EvaluationOptions) -> None:
    names = [file.stem for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"several sets are named {', '.join(twice)}; evaluations are kept by the file's name "
            "without suffix, so rename one"
        )
    if ways.rationales:
        check_writes_rationales(config)
    if config.kind != "classifier" and ways.teacher:
        raise InputError(
            f"--teacher is asked for classes, and this student is a {config.kind}; record its "
            "teacher's answers in the file instead (soft_labels or predicted)"
        )
    if config.kind == "classifier" and (ways.how or ways.samples):
        raise InputError(
            "a classifier writes nothing and has one way to answer; leave out --how and --samples"
        )
    if config.kind == "seq2seq" and ways.samples and ways.backend == "vllm":
        raise InputError("vLLM runs no encoder; leave out --backend, or use transformers")
    unnamed = [view for view in ways.views if view != "positive"]
    missing = [view for view in unnamed if view not in (config.data.control or {})]
    if missing:
        raise InputError(
            f"this student has no control token for {', '.join(missing)}; "
            f"data.control names {', '.join(config.data.control or ()) or 'none'}"
        )


def tables(assessments: Sequence[Assessment]) -> list[TextTable]:
    """Tabulate the accuracies, and the fidelity if any teacher's answer is known."""
    figures = {
        assessment.name: assessment.evaluation.to_json(predictions=False)
        for assessment in assessments
    }
    fidelity = fidelity_table(figures)
    return [accuracy_summary(assessments), *([fidelity] if fidelity else [])]


def accuracy_summary(assessments: Sequence[Assessment]) -> TextTable:
    """Tabulate the accuracy on every set beside that of guessing."""
    columns = ("set", "accuracy", "95 % interval", "chance", "right", "unparsed", "calibration")
    pairs = any(assessment.evaluation.contrast for assessment in assessments)
    more = ("original", "contrast", "both right") if pairs else ()
    return TextTable(
        (*columns, *more), tuple(_row(assessment, pairs) for assessment in assessments)
    )


def _row(assessment: Assessment, pairs: bool) -> tuple[str, ...]:
    result, contrast = assessment.evaluation, assessment.evaluation.contrast
    cells = (
        assessment.name,
        f"{result.accuracy:.1%}",
        f"{result.low:.1%} to {result.high:.1%}",
        f"{result.chance:.1%}",
        f"{result.correct}/{result.total}",
        str(result.unparsed),
        "" if result.calibration is None else f"{result.calibration:.3f}",
    )
    if not pairs:
        return cells
    if contrast is None:
        return (*cells, "", "", "")
    shares = (contrast.original, contrast.counterfactual, contrast.both)
    return (*cells, *(f"{share:.1%}" for share in shares))


def _name(stem: str, ways: EvaluationOptions, view: View) -> str:
    parts = [stem]
    if view != "positive":
        parts.append(view)
    if ways.samples is not None:
        parts.append(f"vote{ways.samples.count}")
    elif ways.how is not None:
        parts.append(ways.how)
    return ".".join(parts)


def is_default_evaluation(name: str) -> bool:
    """Tell whether an evaluation's name, made by `_name`, is that of its set alone."""
    way = name.rpartition(".")[2] if "." in name else ""
    suffixes = {*get_args(View), *get_args(How)}
    return way not in suffixes and not re.fullmatch(r"vote\d+", way)
