"""An input as one turn of a user, in the tokens of a student's own chat template.

The tokens are those that an engine reads of the same message. Knows nothing of what is asked.
"""

from __future__ import annotations

from typing import Any

from raygen.engines import EngineSetupError, Message, RequestRefusedError
from raygen.engines.models import PromptTokenizer
from streamtrain.errors import InputError


def user_turn(text: str) -> tuple[Message, ...]:
    """The chat that a text is the only message of."""
    return (Message("user", text),)


def turn_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a user's turn up to where the answer begins.

    Raises InputError where the tokenizer has no chat template, or its template refuses the turn.
    """
    try:
        return PromptTokenizer("student", "the student's model", tokenizer, None).prompt(
            user_turn(text)
        )
    except EngineSetupError as error:
        raise InputError(
            "data.chat: the student's tokenizer has no chat template; set chat: false, or take an "
            "instruction-tuned model"
        ) from error
    except RequestRefusedError as error:
        raise InputError(f"data.chat: {error}; set chat: false") from error
