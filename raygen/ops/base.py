"""The op seam: what an op declares to the plan and what it may touch while it runs.

An op is pure: `async (row, params, ctx) -> rows and rejects`. It reads no files, clock, global
random state, Ray or vLLM; `ctx` hands it the engine and a seed derived from (row, node, k).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from raygen.engines.base import Completion, Prompt, Sampling
from raygen.row import ColumnType, Reject, Row
from raygen.task import Task


class OpParams(BaseModel):
    """Base of every op's typed parameters, as written in the recipe under the node."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Context(Protocol):
    """What a running op may use, bound to one row, one node and that node's engine."""

    @property
    def node(self) -> str:
        """The name of the node that runs."""
        ...

    @property
    def task(self) -> Task:
        """The recipe's task: which columns carry the question, the options and the answer."""
        ...

    def seed(self, k: int = 0) -> int:
        """The seed of the k-th draw of this node on this row."""
        ...

    async def generate(
        self, prompt: Prompt, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> list[Completion]:
        """Sample from the node's engine; recorded in the row's transcript."""
        ...

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[float]:
        """Log-probabilities of the candidates after the prompt; recorded in the transcript."""
        ...


@dataclass(frozen=True, slots=True)
class Columns:
    """What an op, with its parameters, needs of a row and does to it.

    `templates` are the op's templates by parameter name; the plan checks that each field they
    read is in the row and not hidden, or is one of `given`, which the op itself hands them.
    """

    requires: frozenset[str] = frozenset()
    provides: Mapping[str, ColumnType] = field(default_factory=dict)
    hides: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    templates: Mapping[str, str] = field(default_factory=dict)


Run = Callable[[Row, Any, Context], Awaitable[Sequence[Row | Reject]]]
Declare = Callable[[Any, Task], Columns]


@dataclass(frozen=True, slots=True)
class Op:
    """An op as the plan sees it. Bump `version` when its output for the same input changes."""

    name: str
    version: int
    params: type[OpParams]
    run: Run
    columns: Declare
    needs_engine: bool = False
    paper: str = ""

    @property
    def doc(self) -> str:
        """What the op does, emits and rejects: the docstring of its parameters."""
        return (self.params.__doc__ or "").strip()
