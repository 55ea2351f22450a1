"""Tokenize prompts for a model that this process can see.

Knows nothing of how the model runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import jinja2

from raygen.core.limited import LimitError
from raygen.engines.base import (
    EngineSetupError,
    EngineSpec,
    Message,
    Prompt,
    RequestRefusedError,
    Thinking,
)
from raygen.engines.models.chat_template import render_chat, thinking_args
from raygen.engines.models.tokenizer import TokenizerError, patterns_may_give_up
from raygen.engines.reasoning import ThinkingTags, thinking_tags

_OFF = Thinking("off")


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt's tokens, and whether it ends inside a thought that its template opened."""

    ids: list[int]
    is_open: bool


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """A Hugging Face tokenizer for the `model` of the engine `name`.

    `max_len` is how many tokens of prompt and answer the model takes; None if it doesn't say.
    `template_args` are what its chat template takes beside the messages, and `tags` those of its
    thoughts, None for a model that has none.
    """

    name: str
    model: str
    tokenizer: Any
    max_len: int | None
    template_args: Mapping[str, Any] = field(default_factory=dict)
    tags: ThinkingTags | None = None

    @classmethod
    def of(cls, spec: EngineSpec, tokenizer: Any, max_len: int | None) -> Self:
        """Make that of an engine; its model's tags are those of its vocabulary or template."""
        tags = thinking_tags(tokenizer.get_vocab())
        if tags is None and "</think>" in str(getattr(tokenizer, "chat_template", None)):
            tags = ThinkingTags()
        return cls(spec.name, spec.model, tokenizer, max_len, spec.template_args, tags)

    def prompt(self, prompt: Prompt) -> list[int]:
        """Tokenize a prompt, a chat with the model's own template.

        Raises RequestRefusedError if the prompt leaves no room for an answer.
        """
        return self.to_answer(prompt, None).ids

    def to_answer(self, prompt: Prompt, thinking: Thinking | None) -> TokenizedPrompt:
        """Tokenize a prompt like `prompt`, for a model that thinks as `thinking` says.

        A thought that the template opens although there is to be none is closed.
        """
        text, special = self._render(prompt, thinking)
        ids = self._encode(text, special)
        self._check(ids)
        return TokenizedPrompt(ids, self.tags is not None and self.tags.is_open(text))

    def encode(self, text: str) -> list[int]:
        """Tokenize a text by itself, without special tokens around it."""
        return self._encode(text, False)

    def candidates(self, prompt: Prompt, texts: Sequence[str]) -> list[tuple[list[int], int]]:
        """Tokenize each text after the prompt; returns all tokens, and where the text's begin.

        A token that the text's start merges with the prompt's end counts with the text.
        """
        rendered, special = self._render(prompt, _OFF)
        head = self._encode(rendered, special)
        tokenized = []
        for text in texts:
            ids = self._encode(rendered + text, special)
            self._check(ids)
            pairs = enumerate(zip(head, ids, strict=False))
            shared = next((at for at, (a, b) in pairs if a != b), min(len(head), len(ids)))
            tokenized.append((ids, shared))
        return tokenized

    def prompt_and_text(self, prompt: Prompt, text: str) -> tuple[list[int], int]:
        """Tokenize a prompt and a text separately; returns all tokens, and where the text's begin.

        Raises RequestRefusedError if one of them is empty, or both are too long.
        """
        head, tail = self._encode(*self._render(prompt, _OFF)), self._encode(text, False)
        if not head or not tail:
            raise RequestRefusedError("bad_request", f"no tokens in {prompt!r} or in {text!r}")
        self._check([*head, *tail])
        return [*head, *tail], len(head)

    def spans(
        self, text: str, start: int, target: str
    ) -> tuple[list[int], int, list[tuple[int, int, int]]]:
        """Tokenize text and target, and locate the tokens of text[start:].

        Returns all tokens, where the target's begin, and for each token of text[start:] its index
        with the start and end of its characters, space around it excluded. A token across `start`
        is included.
        """
        ((ids, shared),) = self.candidates(text, [target])
        encoding = self.tokenizer(text + target, return_offsets_mapping=True)
        positions = []
        for position, (a, b) in enumerate(encoding["offset_mapping"][:shared]):
            word = text[a:b].strip()
            if b > max(a, start):
                begin = a + text[a:b].find(word)
                positions.append((position, begin, begin + len(word)) if word else (position, a, b))
        return ids, shared, positions

    def _check(self, ids: Sequence[int]) -> None:
        if self.max_len is not None and len(ids) >= self.max_len:
            raise RequestRefusedError(
                "prompt_too_long",
                f"{len(ids)} tokens; {self.model} takes {self.max_len} with the answer "
                "(args.max_model_len)",
            )

    def _render(self, prompt: Prompt, thinking: Thinking | None) -> tuple[str, bool]:
        """Write the prompt as text, and tell whether the tokenizer must add its special tokens."""
        if isinstance(prompt, str):
            return prompt, True
        if getattr(self.tokenizer, "chat_template", None) is None:
            raise EngineSetupError(
                f"engine {self.name!r}: {self.model} has no chat template; "
                "use a plain prompt instead of messages, or an instruction-tuned model"
            )
        template_args = {
            **(thinking_args(thinking) if self.tags is not None else {}),
            **self.template_args,
        }
        turns = [_turn(message) for message in prompt]
        try:
            text = render_chat(self.model, self.tokenizer, turns, template_args)
        except LimitError as error:
            raise EngineSetupError(f"engine {self.name!r}: {error}") from error
        except jinja2.TemplateError as error:
            raise RequestRefusedError(
                "bad_request", f"the chat template of {self.model} refuses the messages: {error}"
            ) from error
        off = thinking is not None and thinking.mode == "off"
        if off and self.tags is not None and self.tags.is_open(text):
            text = f"{text.rstrip()}\n\n{self.tags.closing}\n\n"
        return text, False

    def _encode(self, text: str, special: bool) -> list[int]:
        try:
            with patterns_may_give_up():
                ids: list[int] = self.tokenizer.encode(text, add_special_tokens=special)
        except TokenizerError as error:
            raise RequestRefusedError("bad_request", f"{self.model}: {error}") from error
        return ids


def _turn(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}
