"""Ask the hub for a model as anybody could, where a stranger names it.

Knows how the hub's client finds the user's token; knows nothing of models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

ANONYMOUS = {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_TOKEN_PATH": os.devnull}
"""Variables by which the hub's client, in a process that starts with them, sends no token."""

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


@contextmanager
def hub_access(*, anonymous: bool) -> Iterator[None]:
    """Keep the user's token from the hub's client, if `anonymous`, here and in new processes."""
    if not anonymous:
        yield
        return
    from huggingface_hub import constants

    changed = dict.fromkeys(_TOKENS) | ANONYMOUS
    variables = {name: os.environ.get(name) for name in changed}
    implicit, path = constants.HF_HUB_DISABLE_IMPLICIT_TOKEN, constants.HF_TOKEN_PATH
    _put(changed)
    # The client has read its variables when it was imported.
    constants.HF_HUB_DISABLE_IMPLICIT_TOKEN, constants.HF_TOKEN_PATH = True, os.devnull
    try:
        yield
    finally:
        _put(variables)
        constants.HF_HUB_DISABLE_IMPLICIT_TOKEN, constants.HF_TOKEN_PATH = implicit, path


def _put(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
