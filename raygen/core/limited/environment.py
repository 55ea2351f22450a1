"""What a limited process knows of the user's environment: the names of variables alone.

Knows nothing of what the variables are for.
"""

from __future__ import annotations

import os
from collections.abc import Collection

_withheld: Collection[str] | None = None


def withhold(names: Collection[str]) -> None:
    """Mark this process as a limited one, from which the values of variables were withheld."""
    global _withheld
    _withheld = names


def is_limited() -> bool:
    """Tell whether this is a limited process, which can start no program."""
    return _withheld is not None


def variable_is_set(name: str) -> bool:
    """Tell whether the user's environment has a variable, also where its value was withheld."""
    return name in os.environ or name in (_withheld or ())
