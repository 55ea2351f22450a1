"""A fake context: ops run on it alone, without a program, an engine process or Ray."""

from collections.abc import Mapping, Sequence
from typing import Any

from raygen.engines.base import Completion, Prompt, Sampling
from raygen.ops.base import Op
from raygen.row import Reject, Row, derive_seed
from raygen.task import TASKS, Task


class FakeContext:
    """Answers every request with the same scripted completions, and remembers what was asked."""

    def __init__(self, row: Row, answers: Sequence[Completion]) -> None:
        self.row = row
        self.answers = list(answers)
        self.asked: list[tuple[Prompt, Sampling]] = []

    @property
    def node(self) -> str:
        return "node"

    @property
    def task(self) -> Task:
        return TASKS["multiple_choice"]

    def seed(self, k: int = 0) -> int:
        return derive_seed(self.row, self.node, k)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> list[Completion]:
        self.asked.append((prompt, sampling))
        return self.answers

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[float]:
        return [0.0 for _ in candidates]


async def run_op(
    op: Op, data: Mapping[str, Any], answers: Sequence[str | Completion] = (), **params: Any
) -> tuple[list[Row | Reject], FakeContext]:
    """The op's outcomes for one row, and the context that it used."""
    row = Row("key", data)
    context = FakeContext(row, [a if isinstance(a, Completion) else Completion(a) for a in answers])
    return list(await op.run(row, op.params.model_validate(params), context)), context


def reasons(outcomes: Sequence[Row | Reject]) -> list[str | None]:
    """The reject reason of each outcome, None for a row."""
    return [outcome.reason if isinstance(outcome, Reject) else None for outcome in outcomes]
