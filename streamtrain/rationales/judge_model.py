"""A model as a rater: it judges which of two rationales of a sheet is better.

It sees both orders, so that a preference for a position decides nothing. Knows engines by their
protocol; nothing of which side is whose.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from raygen.engines import (
    Completion,
    Engine,
    EngineSpec,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
)
from streamtrain.evaluation import default_backend, with_started_engine
from streamtrain.rationales.annotations import Annotations, Verdict
from streamtrain.rationales.sheet import SheetItem

_IN_FLIGHT = 64
_LONGEST = 256

JudgeBackend = Literal["vllm", "transformers", "openai"]
Choice = Literal["1", "2", "tie"]

_AGREED: Mapping[tuple[Choice, Choice], Verdict] = {
    ("1", "2"): "left",
    ("2", "1"): "right",
    ("tie", "tie"): "tie",
}
"""Verdicts on which both orders agree: as the sheet shows them, and swapped."""
_VERDICT = re.compile(r"[\s*_#>]*verdict[\s*_]*:[\s*_]*(1|2|tie)[\s*_.]*", re.IGNORECASE)
_PROMPT = """\
You are a strict and fair judge. Two rationales explain the answer to a question. Which is better: \
right in what it says, and leading to the right answer? Their order and length mean nothing.

Question: {question}
Options: {options}
Right answer: {gold}

Rationale 1: {first}

Rationale 2: {second}

Write one sentence of reason. Then write a last line that is exactly one of these:
Verdict: 1
Verdict: 2
Verdict: tie"""


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """A judge and its backend; `url` is that of an OpenAI-compatible endpoint."""

    model: str
    backend: JudgeBackend | None = None
    url: str | None = None

    @property
    def spec(self) -> EngineSpec:
        """The engine of the model: an endpoint if `url` is set, else vLLM if installed."""
        import torch

        backend = self.backend or ("openai" if self.url else default_backend())
        gpus = int(torch.cuda.is_available()) if backend != "openai" else 0
        args = {"base_url": self.url} if self.url else {}
        return EngineSpec("judge", self.model, backend=backend, gpus=gpus, args=args)


def judge_sheet(judge: JudgeModel, items: Sequence[SheetItem]) -> Annotations:
    """Judge every item with a model. Raises InputError if the model can't be run."""

    return with_started_engine(
        judge.spec,
        lambda engine: judge_with(engine, judge.model, items),
        f"can't ask the judge {judge.model}",
    )


async def judge_with(engine: Engine, name: str, items: Sequence[SheetItem]) -> Annotations:
    """Judge every item with a started engine. Raises EngineError."""
    free = asyncio.Semaphore(_IN_FLIGHT)

    async def ask(item: SheetItem, first: str, second: str) -> tuple[Choice | None, str]:
        text = _PROMPT.format(
            question=item.question,
            options=item.options,
            gold=item.gold,
            first=first,
            second=second,
        )
        request = Request((Message("user", text),), Sampling(temperature=0, max_tokens=_LONGEST))
        async with free:
            try:
                (answer,) = await engine.generate(request)
            except RequestRefusedError as error:
                return None, str(error)
        return read_verdict(answer), answer.text

    both = await asyncio.gather(
        *(ask(item, item.left, item.right) for item in items),
        *(ask(item, item.right, item.left) for item in items),
    )
    return _ballot(name, items, both[: len(items)], both[len(items) :])


def _ballot(
    name: str,
    items: Sequence[SheetItem],
    as_shown: Sequence[tuple[Choice | None, str]],
    swapped: Sequence[tuple[Choice | None, str]],
) -> Annotations:
    verdicts: dict[str, Verdict] = {}
    missing: list[str] = []
    both_orders: list[tuple[Choice, Choice]] = []
    for item, (first, _), (second, _) in zip(items, as_shown, swapped, strict=True):
        if first is None or second is None:
            missing.append(f"item {item.item} (an answer can't be read)")
        else:
            both_orders.append((first, second))
            verdicts[item.item] = _AGREED.get((first, second), "tie")
    return Annotations(
        name,
        verdicts,
        missing=tuple(missing),
        first=both_orders.count(("1", "1")),
        second=both_orders.count(("2", "2")),
        swayed=sum(pair not in _AGREED for pair in both_orders),
        answers={
            item.item: (first[1], second[1])
            for item, first, second in zip(items, as_shown, swapped, strict=True)
        },
    )


def read_verdict(answer: Completion) -> Choice | None:
    """Parse the verdict that an answer has on a line of its own; None if it has none, or several.

    The last line of a truncated answer is ignored, since it may be incomplete.
    """
    lines = answer.text.strip().splitlines()
    if answer.finish_reason == "length":
        lines = lines[:-1]
    verdicts: set[Choice] = set()
    for line in lines:
        if match := _VERDICT.fullmatch(line):
            word = match.group(1).lower()
            verdicts.add("1" if word == "1" else "2" if word == "2" else "tie")
    return verdicts.pop() if len(verdicts) == 1 else None
