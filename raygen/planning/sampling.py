"""Resolve and check what a recipe says of sampling and thinking, before anything starts.

Knows nothing of how an engine samples: the engines' own tables say what a backend takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from raygen.config import Document, parse_model
from raygen.core import Problem, ProblemsError
from raygen.engines import (
    ENDPOINTS,
    EngineSetupError,
    EngineSpec,
    answers_cut_thoughts,
    sampling_problems,
)
from raygen.engines.models import model_sampling
from raygen.ops import OpParams
from raygen.ops.common import SamplingParams
from raygen.planning.plan import Plan
from raygen.recipe import Recipe, RecipeSections


def with_model_sampling(recipe: Recipe) -> Recipe:
    """Put the settings of each model's own `generation_config.json` where a recipe asks for them.

    Raises ProblemsError for a model that has none.
    """
    asking = [n for n, section in recipe.sections.engines.items() if section.sampling == "model"]
    if not asking:
        return recipe
    engines = dict(recipe.document.data["engines"])
    problems = []
    for name in asking:
        try:
            engines[name] = {**engines[name], "sampling": _own_sampling(recipe.engines[name])}
        except EngineSetupError as error:
            place = ("engines", name, "sampling")
            problems.append(recipe.document.problem(place, f"engine {name!r}: {error}"))
    if problems:
        raise ProblemsError(problems)
    data = {**recipe.document.data, "engines": engines}
    document = Document(recipe.document.file, data, recipe.document.marks)
    return replace(recipe, document=document, sections=parse_model(document, RecipeSections))


def _own_sampling(spec: EngineSpec) -> dict[str, Any]:
    if spec.backend in ENDPOINTS:
        raise EngineSetupError(
            "sampling: model reads the model's generation_config.json, which an endpoint doesn't "
            "show; write the settings, or {temperature: null, top_p: null} to leave them to it"
        )
    return model_sampling(spec)


def check_sampling(recipe: Recipe, plan: Plan) -> Iterator[Problem]:
    """Find what the backend of a node's engine can't do of its sampling and thinking."""
    for node in plan.nodes:
        if not isinstance(node.params, SamplingParams) or node.engine is None:
            continue
        for problem in sampling_problems(plan.engines[node.engine], node.params.sampling(0)):
            yield recipe.document.problem(
                ("graph", node.name), f"node {node.name!r}, engine {node.engine!r}: {problem}"
            )


def thinking_hints(recipe: Recipe, plan: Plan) -> Iterator[Problem]:
    """Say which endpoints can't answer after a thought that takes all of its tokens."""
    for name, spec in plan.engines.items():
        nodes = [node for node in plan.nodes if node.engine == name]
        thinking = [node.name for node in nodes if _thinks(node.params)]
        if thinking and not answers_cut_thoughts(spec):
            yield recipe.document.problem(
                ("engines", name),
                f"engine {name!r}: this endpoint can't go on from a thought that takes all of its "
                f"tokens, so that it is paid for without an answer ({', '.join(thinking)}); leave "
                "it room by thinking.budget and max_tokens, or ask for less by thinking.effort",
            )


def _thinks(params: OpParams) -> bool:
    return isinstance(params, SamplingParams) and params.sampling(0).thought_tokens > 0
