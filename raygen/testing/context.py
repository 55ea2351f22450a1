"""Run an op on a fake context, without a row program, an engine or Ray.

Knows nothing of what an op should do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from raygen.checks import How, Verdict, decide
from raygen.core import TASKS, Reject, Row, Task, derive_seed
from raygen.engines import Completion, Prompt, Sampling, Score, TokenScore, TopTokens
from raygen.ops import Context, Op

_Answers = TypeVar("_Answers")


@dataclass(frozen=True, slots=True)
class Script:
    """The answers of a fake model.

    Args:
        answers: The completions of every request, or a function of (prompt, sampling) that returns
            them.
        scores: A function of (prompt, candidates) that returns each candidate's log-probability.
        classes: A function of a text that returns its probabilities by label.
        attributions: Stands in for the context's `attribute`.
        neighbours: Stands in for the context's `nearest`.
    """

    answers: Sequence[str | Completion] | Callable[[str, Sampling], Sequence[str | Completion]] = ()
    scores: Callable[[str, Sequence[str]], Sequence[float]] | None = None
    classes: Callable[[str], Mapping[str, float]] | None = None
    attributions: Callable[[str, int, str], Sequence[TokenScore]] | None = None
    neighbours: Callable[[str, int], Sequence[str]] | None = None


class FakeContext(Context):
    """A context that answers by a script and records requests; no engine runs.

    `asked` are the (prompt, sampling) of `generate`, `scored` the (prompt, candidates) of `score`,
    `schemas` and `engines` the arguments of these names.
    """

    def __init__(self, row: Row, script: Script, task: Task) -> None:
        self.row = row
        self.script = script
        self._task = task
        self.asked: list[tuple[Prompt, Sampling]] = []
        self.schemas: list[Mapping[str, Any] | None] = []
        self.scored: list[tuple[Prompt, tuple[str, ...]]] = []
        self.engines: list[str | None] = []

    @property
    def node(self) -> str:
        return "node"

    @property
    def task(self) -> Task:
        return self._task

    def seed(self, k: int = 0) -> int:
        return derive_seed(self.row, self.node, k)

    async def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        schema: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
    ) -> list[Completion]:
        self.asked.append((prompt, sampling))
        self.schemas.append(schema)
        self.engines.append(engine)
        answers = self.script.answers
        texts = answers(_text(prompt), sampling) if callable(answers) else answers
        return [a if isinstance(a, Completion) else Completion(a) for a in texts]

    async def score(
        self, prompt: Prompt, candidates: Sequence[str], *, engine: str | None = None
    ) -> list[Score]:
        self.scored.append((prompt, tuple(candidates)))
        self.engines.append(engine)
        scores = _scripted("scores", self.script.scores)(_text(prompt), candidates)
        return [Score(s, max(1, len(c.split()))) for s, c in zip(scores, candidates, strict=True)]

    async def top_tokens(
        self, prompt: Prompt, text: str, k: int, *, engine: str | None = None
    ) -> TopTokens:
        self.scored.append((prompt, (text,)))
        words = text.split()
        ids = tuple(tuple(range(at, at + k)) for at in range(len(words)))
        logprobs = tuple(tuple(-1 / 3 - rank for rank in range(k)) for _ in words)
        return TopTokens("words", tuple(range(len(words))), ids, logprobs)

    async def classify(self, text: str, *, engine: str | None = None) -> dict[str, float]:
        self.engines.append(engine)
        return dict(_scripted("classes", self.script.classes)(text))

    async def attribute(
        self, text: str, start: int, target: str, *, engine: str | None = None
    ) -> list[TokenScore]:
        return list(_scripted("attributions", self.script.attributions)(text, start, target))

    async def nearest(self, word: str, k: int, *, engine: str | None = None) -> list[str]:
        return list(_scripted("neighbours", self.script.neighbours)(word, k))

    async def check(self, answer: Any, gold: Any, how: How, options: Sequence[str] = ()) -> Verdict:
        verdict = await decide(answer, gold, how, options)
        return replace(verdict, seconds=0.0)  # so that an op gives the same again

    def teacher(self, engine: str | None = None) -> str:
        return engine or "fake"


def _scripted(name: str, answers: _Answers | None) -> _Answers:
    if answers is None:
        raise LookupError(f"the op asks for {name}, and the Script has none; give it {name}=...")
    return answers


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)


async def run_op(
    op: Op,
    data: Mapping[str, Any] | Sequence[Row],
    answers: Sequence[str | Completion] | Script = (),
    task: Task = TASKS["multiple_choice"],
    **params: Any,
) -> tuple[list[Row | Reject], FakeContext]:
    """Run an op on a row, or a group op on rows; return its outcomes and the context it used.

    Args:
        op: The op.
        data: The row's columns; rows for a group op.
        answers: The script of the fake model, or its completions for every request.
        task: The task that the row is of.
        params: The op's parameters; ValidationError where they don't fit.
    """
    rows = [Row("key", data)] if isinstance(data, Mapping) else list(data)
    script = answers if isinstance(answers, Script) else Script(answers)
    context = FakeContext(rows[0], script, task)
    run: Any = op.run
    outcomes = await run(rows if op.group else rows[0], op.params.model_validate(params), context)
    return list(outcomes), context


def reasons(outcomes: Sequence[Row | Reject]) -> list[str | None]:
    """List the reject reason of each outcome, None for a row."""
    return [outcome.reason if isinstance(outcome, Reject) else None for outcome in outcomes]
