"""The op seam: what an op declares to the plan and what it may touch while it runs.

An op is pure: `async (row, params, ctx) -> rows and rejects`. It reads no files, clock, global
random state, Ray or vLLM; `ctx` hands it the engine and a seed derived from (row, node, k).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from raygen.checks import How, Verdict
from raygen.core import ColumnType, Reject, Row, Task
from raygen.engines import Ability, Api, Completion, Prompt, Sampling, Score, TokenScore, TopTokens


class OpParams(BaseModel):
    """Base of every op's typed parameters, as written in the recipe under the node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def engines(self) -> Mapping[str, str]:
        """List engines named apart from the node's own `engine`: parameter -> engine."""
        return {}

    @classmethod
    def with_api_defaults(
        cls, written: Mapping[str, Any], api_of: Callable[[str | None], Api]
    ) -> Mapping[str, Any]:
        """Add to the parameters of a recipe what follows from how its engines are spoken to.

        `api_of` takes the name of an engine, None for the node's own. Recipes of version 1 are
        read without it.
        """
        return written

    @classmethod
    def read_back(cls, written: Mapping[str, Any]) -> Self:
        """Validate the parameters of a plan.json, which has defaults written out.

        Raises ValidationError if they no longer fit.
        """
        defaults = {
            field.alias or name: to_jsonable_python(field.get_default(call_default_factory=True))
            for name, field in cls.model_fields.items()
            if not field.is_required()
        }
        given = {
            name: value
            for name, value in written.items()
            if name not in defaults or defaults[name] != value
        }
        return cls.model_validate(given)


class Context(Protocol):
    """What a running op may use, bound to one row, one node and that node's engine.

    Contexts derive from it, so that none lacks a method. `engine` names another engine than the
    node's. What `generate`, `score`, `top_tokens` and `classify` ask and get is recorded in the
    row's transcript.
    """

    @property
    @abstractmethod
    def node(self) -> str:
        """The name of the running node."""
        ...

    @property
    @abstractmethod
    def task(self) -> Task:
        """The recipe's task: which columns hold the question, the options and the answer."""
        ...

    @abstractmethod
    def seed(self, k: int = 0) -> int:
        """Return the seed of the k-th draw of this node on this row, in [0, 2**31)."""
        ...

    def once(self) -> Context:
        """Return a context for calls that all rows made of one source row share.

        Its seeds are the same for all of them, and of equal calls only the first is asked.
        """
        return self

    @abstractmethod
    async def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        schema: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
    ) -> list[Completion]:
        """Sample completions, held to the JSON schema `schema` if there is one.

        `sampling.n` completions come back in order, each with its `<think>` section moved from
        `text` to `thinking`.
        """
        ...

    @abstractmethod
    async def score(
        self, prompt: Prompt, candidates: Sequence[str], *, engine: str | None = None
    ) -> list[Score]:
        """Return the log-probability of each candidate as a continuation of the prompt, in nats."""
        ...

    @abstractmethod
    async def top_tokens(
        self, prompt: Prompt, text: str, k: int, *, engine: str | None = None
    ) -> TopTokens:
        """Return the k most probable tokens at each position of `text`, after the prompt."""
        ...

    @abstractmethod
    async def classify(self, text: str, *, engine: str | None = None) -> dict[str, float]:
        """Return the probability of each label of a classifier."""
        ...

    @abstractmethod
    async def attribute(
        self, text: str, start: int, target: str, *, engine: str | None = None
    ) -> list[TokenScore]:
        """Score how much each token of `text[start:]` contributes to `target` as what follows."""
        ...

    @abstractmethod
    async def nearest(self, word: str, k: int, *, engine: str | None = None) -> list[str]:
        """Return the k words nearest to a word by the model's input embeddings."""
        ...

    @abstractmethod
    async def check(self, answer: Any, gold: Any, how: How, options: Sequence[str] = ()) -> Verdict:
        """Decide by a checker whether an answer is right; `options` are for `how: option`."""
        ...

    @abstractmethod
    def teacher(self, engine: str | None = None) -> str:
        """Return the model, and its revision, of the node's engine or another."""
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """An upper estimate of what an op asks of its engine for one input row, if nothing is rejected.

    `calls` of `completions` each, of at most `max_tokens` output tokens; `rows` come out.
    """

    calls: float = 0.0
    completions: int = 0
    max_tokens: int = 0
    rows: float = 1.0


@dataclass(frozen=True, slots=True)
class Columns:
    """What an op, with its parameters, needs of a row and does to it.

    `requires` are columns that it needs, `optional` columns that it reads if a row has them,
    `provides` columns that it sets, with their types, and `hides` columns that none of its
    templates may read. `templates` are its templates by parameter name; the plan checks that each
    field they read is in the row and not hidden, or is one of `given`, which the op itself hands
    them. `abilities` are what the engines must be able to do: parameter (`engine` for the node's
    own) -> abilities. `reports` are columns whose values a status counts. `environment` is what was
    found on this machine (a library) and decides the rows like a parameter; it is hashed if not
    empty. `rejects` are columns that a reject may have; they are null where it hasn't.
    """

    requires: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    provides: Mapping[str, ColumnType] = field(default_factory=dict)
    hides: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    templates: Mapping[str, str] = field(default_factory=dict)
    abilities: Mapping[str, frozenset[Ability]] = field(default_factory=dict)
    reports: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cost: Cost = Cost()
    rejects: Mapping[str, ColumnType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """A node's parameters as every worker runs them, after the driver resolved them once for all.

    `facts` are what it resolved, by name: plan.json keeps them, and rows of the same plan that are
    made later must be made with the same.
    """

    params: OpParams
    facts: Mapping[str, str]


Run = Callable[[Row, Any, Context], Awaitable[Sequence[Row | Reject]]]
RunGroup = Callable[[Sequence[Row], Any, Context], Awaitable[Sequence[Row | Reject]]]
Declare = Callable[[Any, Task], Columns]
Bind = Callable[[Any, Mapping[str, str] | None], Binding]


@dataclass(frozen=True, slots=True)
class Op:
    """An op as the plan sees it. Bump `version` when its output for the same input changes.

    An op with `group` set waits for all rows that its inputs make of one source row, and gets them
    together: its `run` takes a sequence of rows, in the order of its inputs and their lineage. It
    is not called if there are none.

    An op that needs something of the machine it runs on (a library, a file) has `bind`, which the
    driver calls once before a run; workers look for nothing. With the facts of an earlier binding
    it returns that binding again. It raises ValueError or EngineSetupError if that can't be had.
    """

    name: str
    version: int
    params: type[OpParams]
    run: Run | RunGroup
    columns: Declare
    needs_engine: bool = False
    paper: str = ""
    group: bool = False
    bind: Bind | None = None

    @property
    def doc(self) -> str:
        """What the op does, emits and rejects: the docstring of its parameters."""
        return (self.params.__doc__ or "").strip()
