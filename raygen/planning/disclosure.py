"""Disclose what a recipe would do if it ran: what it reads and as whom, sends, runs and writes.

As plain data, so that it can be made in a limited process. Knows nothing of who is asked, or how.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from raygen.core import Place, count, money, plural
from raygen.core.access import public_addresses
from raygen.core.limited import variable_is_set
from raygen.dataset import Folder
from raygen.engines import EngineSpec, endpoint_args, model_name
from raygen.engines.models import bundled_path
from raygen.planning.estimate import Estimate
from raygen.planning.plan_report import make_plan_overview
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare_each
from raygen.recipe import Recipe, program_nodes
from raygen.trainer import Training, student_settings, training_of, training_problems

Fact = tuple[str, str]
"""What kind of fact it is, a verb, and the fact in words. Neither is fit for a terminal yet."""

_HELD_OUT = ("report", "select")


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What one variant of a recipe would do; `files` are those that it was read from and fetched
    with."""

    recipe: str
    variant: str | None
    files: tuple[Path, ...]
    facts: tuple[Fact, ...]
    expected: str = ""
    """What a run is estimated to take."""


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What the user wants to run: the dataset's folder and the student in place of the recipe's.

    `trains`: whether a student would be trained at all. `cost` says in words what stops it.
    """

    cost: str
    out: str | None = None
    student: Path | None = None
    trains: bool = True


def disclose(request: RecipeRequest, terms: RunTerms) -> list[Disclosure]:
    """Disclose what a recipe would do, or each variant that is named. Raises ProblemsError."""
    check = partial(training_problems, train=terms.student)
    return [_disclosed(each, terms) for each in prepare_each(request, check)]


def _disclosed(prepared: PreparedRecipe, terms: RunTerms) -> Disclosure:
    recipe = prepared.recipe
    folder = Folder.at(terms.out or prepared.output)
    training = None
    if terms.trains:
        training = training_of(recipe, terms.student, folder, moved=terms.out is not None)
    facts = [
        *_reads(recipe, training),
        *_sends(recipe),
        *_runs(prepared),
        *_writes(folder, training, terms),
    ]
    return Disclosure(
        recipe=recipe.name,
        variant=recipe.variant,
        files=tuple(Path(file) for file, fetched in recipe.files.items() if fetched is not None),
        facts=tuple(facts),
        expected=_words(make_plan_overview(prepared, terms.out).estimate) if terms.trains else "",
    )


def _reads(recipe: Recipe, training: Training | None) -> Iterator[Fact]:
    for rows in recipe.source.paths:
        yield "reads", f"rows: {_rows(recipe, rows)}"
    for name, spec in recipe.engines.items():
        if spec.backend in ("vllm", "transformers"):
            yield "reads", f"model of engine {name}: {_model(spec)}"
    if training is None:
        return
    student = student_settings(training)
    who = "as anybody could" if training.anonymous else "as you"
    yield "reads", f"model of the student: {_model_words(str(student.get('model')), who)}"
    evaluate = student.get("evaluate")
    held_out: Mapping[str, Any] = evaluate if isinstance(evaluate, Mapping) else {}
    for key in _HELD_OUT:
        if path := held_out.get(key):
            place: Place = ("train",) if training.file else ("train", "evaluate", key)
            yield "reads", f"held-out questions: {_origin(recipe, place, str(path))}"


def _sends(recipe: Recipe) -> Iterator[Fact]:
    by_address: dict[str, list[str]] = defaultdict(list)
    for name, spec in recipe.engines.items():
        if (args := endpoint_args(spec)) is not None:
            keys = [name for name in args.variables if variable_is_set(name)]
            key = f"your {_listed('key', keys)}" if keys else "no key"
            by_address[f"{args.base_url}{_where(args.base_url)}, with {key}"].append(name)
    for address, names in by_address.items():
        yield "sends", f"prompts with the rows to {address} ({_listed('engine', names)})"
    if not by_address:
        yield "sends", "nothing: its engines run on your machines"


def _where(url: str) -> str:
    """Say of an endpoint's address that it isn't one of the public network."""
    try:
        return "" if public_addresses(url, "") else ", which is in your own network"
    except (OSError, ValueError):
        return ", which can't be resolved now"


def _runs(prepared: PreparedRecipe) -> Iterator[Fact]:
    if programs := list(program_nodes(prepared.recipe.document.data)):
        yield "runs", f"programs that a model writes, in the sandbox ({_listed('node', programs)})"
    for path in prepared.reference.trusted:
        yield "runs", f"the Python file {path}, which you trust"
    trusted = {path.stem for path in prepared.reference.trusted}
    by_package: dict[str, list[str]] = defaultdict(list)
    for node in prepared.plan.nodes:
        module = node.op.params.__module__.partition(".")[0]
        package = "a file that you trust" if module in trusted else _package(module)
        if node.op.name not in by_package[package]:
            by_package[package].append(node.op.name)
    for package, names in by_package.items():
        yield "runs", f"{_listed('op', names)} of {package}"
    for name, spec in prepared.recipe.engines.items():
        gpus = f" on {plural(spec.gpus, 'GPU')}" if spec.gpus else ""
        model = model_name(spec.model, spec.revision)
        yield "runs", f"engine {name}: {model} by {spec.backend}{gpus}"


def _writes(folder: Folder, training: Training | None, terms: RunTerms) -> Iterator[Fact]:
    if not terms.trains:
        yield "writes", "nothing but what it shows"
        return
    yield "writes", f"the dataset: {folder.uri}"
    if training is not None:
        yield "writes", f"the student: {training.out}"


def _rows(recipe: Recipe, path: str) -> str:
    """Say where rows come from, and of an address of a stranger's that it was asked already."""
    place: Place = ("source", "path")
    is_asked = "://" in path and recipe.resolver.origins.owner(place) is not None
    read = ", and read just now to check the recipe" if is_asked else ""
    return f"{_origin(recipe, place, path)}{read}"


def _origin(recipe: Recipe, place: Place, text: str) -> str:
    """Say of a path or a URL at a place whose file it is, or as whom it is read."""
    owner = recipe.resolver.origins.owner(place)
    if "://" in text:
        anonymous = recipe.resolver.access(place, text) is not None
        return f"{text}, {'as anybody could' if anonymous else 'as you'}"
    return f"{text}, {'a file of yours' if owner is None else 'which came with it'}"


def _model(spec: EngineSpec) -> str:
    who = "as anybody could" if spec.anonymous else "as you"
    return _model_words(model_name(spec.model, spec.revision), who)


def _model_words(model: str, who: str) -> str:
    if bundled_path(model) is not None:
        return f"{model}, which comes with raygen"
    if Path(model).is_absolute() or model.startswith("."):
        return f"the folder {model}"
    return f"{model} of the Hugging Face hub, {who}"


def _package(module: str) -> str:
    if module == "raygen":
        return "raygen"
    names = packages_distributions().get(module) or [module]
    return " and ".join(f"the installed package {name} {version(name)}" for name in set(names))


def _listed(noun: str, names: list[str]) -> str:
    return f"{noun if len(names) == 1 else f'{noun}s'} {', '.join(names)}"


def _words(estimate: Estimate) -> str:
    """Say what a run is estimated to take: an upper bound where nothing was measured."""
    tokens = estimate.prompt_tokens + estimate.output_tokens
    figures: list[Any] = [
        plural(estimate.rows, "row"),
        f"{count(estimate.calls)} calls",
        f"{count(tokens)} tokens",
    ]
    figures += [money(estimate.dollars)] if estimate.dollars is not None else []
    return f"about {', '.join(figures)}, as `raygen plan` estimates"
