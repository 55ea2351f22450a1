"""Errors that end a run with one clear message for the user, which is their str().

Knows nothing of where errors are raised or shown.
"""

from __future__ import annotations


class StreamtrainError(Exception):
    """Base of the errors that end a run with a message instead of a traceback."""


class InputError(StreamtrainError):
    """The user's input is wrong: a file, a model name, an option, a row of the dataset."""


class StreamLostError(StreamtrainError):
    """The dataset that is followed was replaced, or its generator no longer shows life."""
