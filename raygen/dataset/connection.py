"""Send requests to an object store once more when their connection broke.

The client in deltalake and obstore repeats by itself what a store answers with 5xx, and reads and
overwrites whose connection breaks. Of a commit and a deletion it can't know whether the store has
acted already, so only their sender can repeat them. Knows nothing of what is asked.
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


def retry_idempotent(action: Callable[[], T]) -> T:
    """Do what may be done twice, and once more, up to six times, where its connection broke.

    Raises what `action` raised last.
    """
    from deltalake.exceptions import DeltaError

    for attempt in range(1, _TRIES):
        try:
            return action()
        except (OSError, DeltaError) as error:
            if not connection_broke(error):
                raise
        time.sleep(_FIRST_WAIT_S * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0))
    return action()


def connection_broke(error: Exception) -> bool:
    """Tell whether a connection broke in a request that the client sent only once."""
    text = str(error)
    return "HTTP error" in text and "retries" not in text


def message_of(error: Exception) -> str:
    """Put what the client says of a fault, which may be a tree of lines, into one line."""
    lines = _COLOUR.sub("", str(error)).replace("↳", ": ").splitlines()
    text = " ".join(" ".join(lines).split()).replace(" : ", ": ")
    return text[:_MOST_CHARACTERS] or type(error).__name__
