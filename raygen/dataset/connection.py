"""Connections to an object store that break, and the requests that are then sent once more.

The client repeats by itself what a store answers with 5xx, and reads whose connection breaks; of
other requests it can't know whether the store has acted already, so only their sender can repeat
them. Knows nothing of what is asked.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_TRIES = 6
_FIRST_WAIT_S = 0.5
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MOST_CHARACTERS = 400


def again(action: Callable[[], T]) -> T:
    """Do what may be done twice, again a few times where the connection broke under it.

    Raises what it raised last.
    """
    from deltalake.exceptions import DeltaError

    for attempt in range(1, _TRIES):
        try:
            return action()
        except (OSError, DeltaError) as error:
            if not broke(error):
                raise
        time.sleep(_FIRST_WAIT_S * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0))
    return action()


def broke(error: Exception) -> bool:
    """Whether a connection broke in a request that the client sent only once."""
    text = str(error)
    return "HTTP error" in text and "retries" not in text


def told(error: Exception) -> str:
    """What the client says of a fault, which may be a tree of lines, in one line."""
    lines = _COLOUR.sub("", str(error)).replace("↳", ": ").splitlines()
    text = " ".join(" ".join(lines).split()).replace(" : ", ": ")
    return text[:_MOST_CHARACTERS] or type(error).__name__
