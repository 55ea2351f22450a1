"""The specification of one run of `streamtrain fit`: student, dataset, output folder; and the
checks before a run starts or resumes.

Knows nothing of torch or Ray, so that bad input is found at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from raygen.config import Document
from raygen.core import Problem, ProblemsError, expand_home, read_json_object, without_secret
from raygen.dataset import TRAINING_RUN, DatasetError, Folder, FolderKind, check_writable
from raygen.engines.models import bundled_problem
from streamtrain.config import StudentConfig
from streamtrain.errors import InputError
from streamtrain.heldout import Question, read_questions, shared_questions
from streamtrain.run.loggers import missing

RESULT = "result.json"
METRICS = "metrics.jsonl"
DECISIONS = "decisions.jsonl"
CHECKPOINTS = "checkpoints"
BEST = "best"
VALIDATING = "validating"
FINAL = "final"
REPLACED = ".final.old"
STUDENT = "student.json"
STOP = "stop"
GROW = "grow"
OWNER = "owner"
RAY = "ray"
"""Names in the output folder. STUDENT lies in FINAL; REPLACED is an older FINAL until the new one
has its name; STOP is there while a run is asked to stop,
and GROW, with a number, while it is to go on with so many workers; OWNER names the run that may
write, because the workers of a killed one live on for a moment."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a run trains, on what, and where its results go. `report` and `select` are files of
    held-out questions, if any.

    `model` is a hub id, `bundled:NAME`, or the absolute path of a folder; so is `teacher`, None if
    none has to be loaded. Once a followed dataset has ended, the run may grow to `most` workers.
    """

    config: StudentConfig
    model: str
    data: str
    out: Path
    report: Path | None
    follow: bool = False
    resume: bool = False
    select: Path | None = None
    teacher: str | None = None
    most: int = 0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of the command line that shape a run."""

    data: str
    out: Path | None = None
    follow: bool = False
    resume: bool = False
    most: int = 0


def make_run_spec(
    document: Document, config: StudentConfig, base: Path, options: RunOptions
) -> RunSpec:
    """Specify the run of a checked student.

    `document` is what `config` was parsed from, for the positions of problems; paths in it are
    relative to `base`. `options` are those of the command line. Raises ProblemsError with every
    file that is wrong.
    """
    problems = find_problems(document, config, base, options.follow)
    if problems:
        raise ProblemsError(problems)
    evaluate = config.evaluate
    report, select = (
        (base / path).absolute() if path else None for path in (evaluate.report, evaluate.select)
    )
    return RunSpec(
        config,
        _model(config.model, base),
        _dataset(options.data),
        _output(config, base, options),
        report,
        options.follow,
        options.resume,
        select,
        _teacher(config, base),
        options.most,
    )


def _dataset(data: str) -> str:
    """Return the dataset's address as the run keeps it. Raises InputError for one with a secret."""
    try:
        return without_secret(data) if "://" in data else str(Path(data).absolute())
    except ValueError as error:
        raise InputError(f"--data {error}") from None


def refuse_used_output(job: RunSpec) -> None:
    """Raise InputError if the output folder already holds a run and `--resume` is not given, or if
    it holds anything else."""
    check_output(job.out, TRAINING_RUN, "--out DIR, or `output` in the student's file")
    refuse_links(job.out, "give another folder with --out")
    used = [name for name in (RESULT, CHECKPOINTS) if (job.out / name).exists()]
    if used and not job.resume:
        raise InputError(
            f"{job.out} already holds a run ({', '.join(used)}); "
            "continue it with --resume, or give another folder with --out"
        )


def refuse_links(folder: Path, advice: str) -> None:
    """Raise InputError where a folder that is written to, or one of its parts, holds a link.

    Its files are replaced, appended to and deleted, and a link leads to somebody else's. Parts are
    the folders that streamtrain names; W&B and Ray keep links in theirs. `advice` says what to do.
    """
    parts = [folder / part for part in (CHECKPOINTS, BEST, VALIDATING, FINAL, REPLACED)]
    for path in chain(_entries(folder), *(part.rglob("*") for part in parts)):
        if path.is_symlink():
            raise InputError(
                f"{path} is a link to {path.readlink()}, whose target would be written to; put the "
                f"file or folder itself there, or take the link away, or {advice}"
            )


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def order_settings(config: StudentConfig) -> dict[str, Any]:
    """Collect the settings that the order and content of batches depend on; a resumed run must have
    the same ones."""
    settings = config.model_dump(
        mode="json", include={"model", "revision", "tune", "data", "stream"}
    )
    return {
        **settings,
        "objective": config.objective.model_dump(mode="json"),
        "batch": config.optim.batch,
    }


def check_same_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError that names the settings in which a run differs from the one it resumes."""
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if changed:
        raise InputError(
            f"the run to resume had other settings for {', '.join(changed)}; "
            "put them back, or start a new run in another output folder"
        )


def check_output(folder: Path, kind: FolderKind, advice: str) -> None:
    """Raises InputError where a folder is neither new, nor empty, nor ours and of this kind.

    `advice` says how another one is named.
    """
    try:
        check_writable(Folder.at(folder), kind, advice)
    except DatasetError as error:
        raise InputError(str(error)) from error


class _Result(BaseModel):
    data: str


def read_result(out: Path) -> dict[str, Any]:
    """Read the result.json of a finished run."""
    expected = "what `streamtrain fit` wrote at the end of a run; train it again with another --out"
    return read_json_object(out / RESULT, expected, _Result)


def _output(config: StudentConfig, base: Path, options: RunOptions) -> Path:
    if options.out is not None:
        return options.out.absolute()
    if config.output is not None:
        return (base / config.output).absolute()
    if "://" in options.data:
        data = _dataset(options.data)
        raise InputError(f"{data} is not a local folder; give the student's with --out")
    return (Path(options.data) / "student").absolute()


def _model(name: str, base: Path) -> str:
    if name.startswith((".", "/", "~")):
        return str((base / expand_home(name)).absolute())
    return name


def _teacher(config: StudentConfig, base: Path) -> str | None:
    """Resolve the teacher that has to be loaded, if any."""
    teacher = config.objective.teacher
    return _model(teacher.model, base) if teacher and config.objective.asks_teacher else None


def find_problems(
    document: Document, config: StudentConfig, base: Path, follow: bool
) -> list[Problem]:
    """Find what is wrong with the files that a student names, and with its length when it will
    `follow`.

    `document` is what `config` was parsed from, for the positions of problems; paths in it are
    relative to `base`.
    """
    return list(_problems(document, config, base, follow))


def _problems(
    document: Document, config: StudentConfig, base: Path, follow: bool
) -> Iterator[Problem]:
    yield from _set_problems(document, config, base)
    yield from (document.problem(("log",), text) for text in missing(config.log))
    models = {
        ("model",): _model(config.model, base),
        ("objective", "teacher"): _teacher(config, base),
    }
    for keys, model in models.items():
        if model and model.startswith("/") and not Path(model).is_dir():
            yield document.problem(keys, f"{keys[-1]}: {model} is no folder")
        if model and (missed := bundled_problem(model)):
            yield document.problem(keys, f"{keys[-1]}: {missed}")
    if follow and config.optim.schedule != "wsd" and config.optim.max_steps is None:
        yield document.problem(
            ("optim", "schedule"),
            f"schedule: {config.optim.schedule} needs a known length, and a dataset that is still "
            "growing has none; set max_steps, use wsd, or leave out --follow",
        )


def _set_problems(document: Document, config: StudentConfig, base: Path) -> Iterator[Problem]:
    """Find held-out sets that can't be read, or that share questions."""
    sets: dict[str, list[Question]] = {}
    for name, path in (("report", config.evaluate.report), ("select", config.evaluate.select)):
        if path is not None:
            try:
                sets[name] = read_questions(base / path, config.data.labels or ())
            except InputError as error:
                yield document.problem(("evaluate", name), str(error))
    if len(sets) < 2:
        return
    common = shared_questions(sets["report"], sets["select"])
    if common:
        first = common[0]
        paired = first.key not in {question.key for question in sets["report"]}
        of_pair = f" of the group {first.group!r}" if paired else ""
        yield document.problem(
            ("evaluate", "select"),
            f"select: {len(common)} of its questions, or of their pairs, are in report too, as "
            f"{first.question[:80]!r}{of_pair}; what selects a step must not be reported",
        )
