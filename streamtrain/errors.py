"""Errors that end a run with one clear message for the user, which is their str().

Knows nothing of where errors are raised or shown.
"""

from __future__ import annotations

from raygen.core import hide_secrets


class StreamtrainError(Exception):
    """Base of the errors that end a run with a message instead of a traceback.

    The message has no secret of this process's environment.
    """

    def __init__(self, message: str) -> None:
        super().__init__(hide_secrets(message))


class InputError(StreamtrainError):
    """The user's input is wrong: a file, a model name, an option, a row of the dataset."""


class StreamLostError(StreamtrainError):
    """The dataset that is followed was replaced, or its generator no longer shows life."""
