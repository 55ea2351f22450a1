"""Make a dataset of a recipe and, with `train:`, a student; a later call does what is left.

Checks everything, asks the user what must be agreed to, and keys the source; the session does the
rest.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from raygen.apply.consent import confirm_first_use
from raygen.apply.other_calls import open_others
from raygen.apply.replacing import replaced_words
from raygen.apply.request import ApplyRequest, ApplyUI, UserSession
from raygen.apply.session import Session
from raygen.core import UserError, interrupts, plural
from raygen.dataset import (
    DATASET,
    TRAINING_RUN,
    Dataset,
    DatasetError,
    Folder,
    check_writable,
)
from raygen.planning import (
    PreparedRecipe,
    RunTerms,
    bind_plan,
    continue_plan,
    find_reuse,
    prepare,
    source_rows,
    verified_lock,
)
from raygen.runtime import Snapshot, check_prices
from raygen.share import write_card
from raygen.trainer import Training, students_of, training_of, training_problems
from raygen.views import RunSummary

__all__ = ["ApplyRequest", "ApplyUI", "apply"]

_JOB_FOLDER = "/runtime_resources/working_dir_files/"
"""Part of every path under which Ray unpacks the working directory of a job."""


def apply(request: ApplyRequest, ui: ApplyUI) -> RunSummary:
    """Make the recipe's dataset and its student, or what is left of them.

    Raises UserError and its subclasses before anything starts; what happens after that is in the
    summary, and everything committed so far stays readable.
    """
    started = time.monotonic()
    terms = RunTerms(request.budget.limits_words, request.out, request.train)
    reference = confirm_first_use(request.reference, terms, ui)
    request = replace(request, reference=reference)
    prepared = prepare(reference, lambda recipe: training_problems(recipe, request.train))
    recipe = prepared.recipe
    check_prices(request.budget, prepared.plan.engines)
    prepared = replace(prepared, plan=bind_plan(prepared.plan, anonymous=prepared.anonymous))
    folder = Folder.at(request.out or prepared.output)
    _check_fit(folder)
    open_others(request.calls, folder)
    training = training_of(recipe, request.train, folder, moved=request.out is not None)
    _check_ours(folder, training)
    # Read once: the rows that the lock was compared with are those that run.
    rows = cache(partial(source_rows, prepared))
    how = {"locked": request.locked, "fresh": request.fresh}
    lock = verified_lock(prepared, folder, rows=rows, **how, tell=ui.note)
    prepared = replace(prepared, lock=lock)
    _check_stays("the output folder", folder.local)
    _check_stays("the student's folder", training.out if training else None)
    if not _may_write(folder, prepared, training, request.fresh, ui):
        raise UserError("nothing was changed", 1)
    ui.update(Snapshot("reading the source"), None)
    if not request.fresh:
        plan = continue_plan(prepared.plan, Dataset(folder), rows().keys)
        prepared = replace(prepared, plan=plan)
    source = rows().copied(folder)
    rows.cache_clear()  # the run has its copy
    with interrupts() as watched:
        watch = UserSession(ui, watched, started)
        summary = Session(request, prepared, folder, source, training, watch).run()
    if summary.kept + summary.dropped + summary.failed:
        try:
            write_card(folder)
        except DatasetError as error:
            ui.note(f"the card could not be written: {error}")
    return summary


def _check_fit(folder: Folder) -> None:
    """Check that tables can lie in a folder of this name. Raises UserError."""
    if folder.unfit:
        raise UserError(
            f"the tables of a dataset can't lie in {folder.uri}: deltalake can't deal with "
            f"{folder.unfit!r} in a path; name another folder, in output.path or with --out"
        )


def _check_ours(folder: Folder, training: Training | None) -> None:
    """See that a run would write to its own folders only. Raises UserError."""
    check_writable(folder, DATASET, "output.path, or --out DIR")
    if training is None:
        return
    if training.out.is_symlink():
        raise UserError(
            f"the student's folder {training.out} is a link; found one, expected a folder, since "
            "it is deleted when its dataset is replaced. Name the folder itself in the student's "
            "`output`, or take the link away"
        )
    check_writable(Folder.at(training.out), TRAINING_RUN, "the student's `output`")


def _check_stays(what: str, folder: Path | None) -> None:
    """Check that a local folder outlives the run. Raises UserError."""
    if folder is not None and _JOB_FOLDER in folder.absolute().as_posix():
        raise UserError(
            f"{what} {folder} lies in the Ray job's copy of its working directory, which is "
            "deleted when the job ends; give another with --out (s3://, or a folder that all nodes "
            "share), or begin in one: ray job submit ... -- sh -c 'cd /shared && raygen apply ...'"
        )


def _may_write(
    folder: Folder, prepared: PreparedRecipe, training: Training | None, fresh: bool, ui: ApplyUI
) -> bool:
    """Ask the user before rows are replaced; True where there is nothing to replace."""
    dataset = Dataset(folder)
    plans = dataset.plans()
    if not plans:
        return True
    rows, examples = dataset.extent()
    have = f"{folder.uri} has {plural(examples, 'example')} of {plural(rows, 'finished row')}"
    goes = replaced_words(students_of(folder, training))
    if fresh:
        return ui.confirm(f"{have}. Replace {goes}?")
    reuse = find_reuse(folder, prepared.plan)
    if reuse is None:
        return True
    ui.note(f"{plural(rows, 'row')} will be made again; {reuse.words()}")
    return ui.confirm(
        f"{have}, made by another version of this recipe. The first new rows replace {goes}. Go on?"
    )
