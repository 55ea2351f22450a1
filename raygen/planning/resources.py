"""Place a recipe on actors, GPUs and train workers by its profile, and share a cluster's GPUs
between generation and training.

Pure. Knows nothing of Ray, or of what runs in an actor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from raygen.core import Problem, count, plural
from raygen.engines import Backend, EngineSpec, endpoint_args
from raygen.planning.plan import Plan
from raygen.recipe import ALL_ENGINES, Recipe


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster that was joined: the address for other processes, and its resources.

    `gpus` includes those that it may grow by. `dashboard` is a URL; so is `metrics`, for
    Prometheus.
    """

    address: str
    gpus: int = 0
    dashboard: str | None = None
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class GpuAllocation:
    """Who has which GPUs: `actors` for generation, and what the student is trained on.

    `concurrent`: it is trained while rows are generated, else after that. `workers` is how many
    train workers there may be once the actors have given their GPUs back. `note` is for people.
    """

    actors: int
    concurrent: bool
    workers: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a recipe runs. `low` to `high` actors hold `gpus` GPUs each, all engines together.

    `rows` are in flight in each actor; `trainers` is 0 where no student is trained.
    """

    profile: str | None
    low: int
    high: int
    gpus: int
    rows: int
    trainers: int = 0

    @property
    def all_gpus(self) -> int:
        """The GPUs of all actors and of training at the same time, 0 where no engine has one."""
        return self.high * self.gpus + (self.trainers if self.gpus else 0)

    def share(self, gpus: int) -> GpuAllocation:
        """Divide a cluster's GPUs: training gets its own, generation the rest.

        Where that is not enough for one actor, training runs after generation.
        """
        most = gpus // self.gpus if self.gpus else self.high
        if most < 1:
            note = (
                f"an actor needs {plural(self.gpus, 'GPU')} and the cluster has {count(gpus)}; "
                "waiting for more"
            )
            return GpuAllocation(self.high, True, self.trainers, note)
        if not self.gpus or not 0 < self.trainers <= gpus:
            return GpuAllocation(min(self.high, most), True, self.trainers)
        actors = min(self.high, (gpus - self.trainers) // self.gpus)
        if actors:
            return GpuAllocation(actors, True, self.trainers + actors * self.gpus)
        note = (
            f"{plural(gpus, 'GPU')} can't serve generation and training at once; "
            "the student is trained after generation"
        )
        return GpuAllocation(min(self.high, most), False, gpus, note)

    def to_json(self) -> dict[str, Any]:
        """Convert the placement to JSON."""
        return {**asdict(self), "all_gpus": self.all_gpus}


def placement_of(recipe: Recipe, plan: Plan, trainers: int = 0) -> Placement:
    """Place a plan by the recipe's profile, or on one actor where it has none."""
    profile = recipe.profile
    return Placement(
        profile=profile.name if profile else None,
        low=profile.replicas.min if profile else 1,
        high=profile.replicas.max if profile else 1,
        gpus=sum(spec.gpus for spec in plan.engines.values()),
        rows=(profile.concurrency if profile else None) or rows_in_flight(plan),
        trainers=trainers,
    )


def placement_hints(recipe: Recipe) -> list[Problem]:
    """List what the recipe says of where it runs, which a profile should; no reason not to run."""
    return sorted(_hints(recipe))


def _hints(recipe: Recipe) -> Iterator[Problem]:
    conditions = recipe.profile.sections.engines if recipe.profile else {}
    written = recipe.written.get("engines") or {}
    for name in recipe.engines:
        gpus = written.get(name, {}).get("gpus")
        if recipe.document.mark(("engines", name, "gpus")).file.startswith("--set "):
            continue  # said for this command alone
        overridden = any(
            engine in (name, ALL_ENGINES) and condition.gpus is not None
            for engine, condition in conditions.items()
        )
        if gpus and not overridden:
            yield recipe.document.problem(
                ("engines", name, "gpus"),
                f"the recipe pins {name!r} to gpus: {gpus}; in a profile "
                f"(engines: {{{name}: {{gpus: {gpus}}}}}) the recipe runs anywhere",
            )


_ROWS_IN_BATCHES = 20_000
"""A step of the graph waits for its batch, so as many rows as can be held wait together."""

_ROWS_IN_FLIGHT: dict[Backend, int] = {
    "vllm": 256,
    "openai": 512,
    "anthropic": 512,
    "transformers": 32,
    "fake": 512,
}


def rows_in_flight(plan: Plan) -> int:
    """Choose the rows in flight per actor where the profile has none, by the backends."""
    return max(map(_rows_in_flight, plan.engines.values()), default=64)


def _rows_in_flight(spec: EngineSpec) -> int:
    args = endpoint_args(spec)
    return _ROWS_IN_BATCHES if args and args.mode == "batch" else _ROWS_IN_FLIGHT[spec.backend]
