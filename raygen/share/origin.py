"""Copy the source file of a shared dataset to where its recipe looks for it.

Knows how a source is keyed; nothing of where the dataset is shared.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from raygen.core import UserError, count, plural, task_of
from raygen.dataset import Dataset, Folder
from raygen.inspection import Facts
from raygen.sources import key_source


def put_source(dataset: Dataset, facts: Facts, source: Path, folder: Path) -> str:
    """Copy a dataset's source to where its recipe, in `folder`, will look for it; return that path.

    Raises UserError where the file isn't what the dataset was made of.
    """
    name = facts.missing
    if name is None:
        raise UserError(f"--source: everybody can read {facts.recipe.source.path}; leave it out")
    if not source.is_file() or any(sign in name for sign in "*?["):
        raise UserError(f"--source {source}: expected one file, in place of {name}")
    target = folder / name
    if target.exists() or target.suffix != source.suffix:
        raise UserError(f"--source {source}: it can't stand for {name}; expected that file")
    keys = dataset.done(facts.status.plan).keys()
    if strange := keys - set(_keys(facts, source)):
        raise UserError(
            f"--source {source}: {count(len(strange))} of the dataset's {plural(len(keys), 'row')} "
            "come from no row of it; give the file that the recipe read"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return name


def _keys(facts: Facts, source: Path) -> list[str]:
    recipe = facts.recipe
    spec = recipe.source.model_copy(update={"path": str(source.resolve())})
    task = task_of(recipe.task, recipe.labels)
    with tempfile.TemporaryDirectory() as folder:
        return key_source(spec, task, source.parent, Folder.at(folder)).keys
