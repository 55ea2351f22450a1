"""Stand-in engines, which have every ability and answer nothing.

For callers that run ops to learn what they ask, or on recorded calls alone. Knows nothing of what
is done with a request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NoReturn

from raygen.engines.base import Completion, Prompt, Request, Score, TokenScore, TopTokens


class StandInEngine(ABC):
    """Base of engines without a model: every request ends in `receive`."""

    @abstractmethod
    async def receive(self, *texts: str) -> NoReturn:
        """Take a request whose model would read these texts; never returns."""
        ...

    async def generate(self, request: Request) -> list[Completion]:
        """Receive the prompt."""
        await self.receive(_text(request.prompt))

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Receive the prompt once for each candidate."""
        await self.receive(*[_text(prompt)] * len(candidates))

    async def top_tokens(self, prompt: Prompt, text: str, k: int) -> TopTokens:
        """Receive the prompt and the text."""
        await self.receive(_text(prompt), text)

    async def classify(self, text: str) -> dict[str, float]:
        """Receive the text."""
        await self.receive(text)

    async def attribute(self, text: str, start: int, target: str) -> list[TokenScore]:
        """Receive the text."""
        await self.receive(text)

    async def nearest(self, word: str, k: int) -> list[str]:
        """Receive the word."""
        await self.receive(word)

    async def close(self) -> None:  # noqa: B027 - there is nothing that one could have to free
        """Free nothing."""


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)
