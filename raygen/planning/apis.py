"""Settle how a recipe's engines are spoken to, for those whose prompts hang on it.

Knows nothing of prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from raygen.core import Problem
from raygen.engines import Api, EngineSetupError, EngineSpec, resolve_api
from raygen.recipe import Recipe


class EngineApis:
    """Looks up how an engine is spoken to, each once, and keeps the problems of doing so."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._specs = recipe.engines
        self._known: dict[str, Api] = {}
        self.problems: list[Problem] = []

    def __call__(self, name: str) -> Api:
        """Return how the engine of this name is spoken to; where unknown, as a completion."""
        if name not in self._known:
            self._known[name] = self._resolve(name)
        return self._known[name]

    @property
    def engines(self) -> Mapping[str, EngineSpec]:
        """The engines, with what was looked up."""
        return {
            name: replace(spec, api=self._known[name]) if name in self._known else spec
            for name, spec in self._specs.items()
        }

    def _resolve(self, name: str) -> Api:
        if name not in self._specs:
            return "completion"  # the graph's own check reports the name
        try:
            return resolve_api(self._specs[name])
        except EngineSetupError as error:
            message = f"engine {name!r}: {error}"
            self.problems.append(self._recipe.document.problem(("engines", name), message))
            return "completion"
