"""What stands beside a dataset's tables: the frozen recipe, its plan, and the lock that held.

Knows nothing of tables or of when it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raygen.dataset.folder import Folder
from raygen.dataset.reader import PLAN
from raygen.lock import STORED
from raygen.prepare import Prepared

RECIPE = "recipe.yaml"


def write_beside(folder: Folder, prepared: Prepared, estimate: Mapping[str, Any]) -> None:
    """Write the recipe, the plan with what is expected of it, and the lock, or take an old one out.

    Raises OSError.
    """
    plan = {**prepared.plan.to_json(), "estimate": estimate}
    folder.write_text(RECIPE, prepared.recipe.frozen())
    folder.write_text(PLAN, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")
    if prepared.lock is not None:
        folder.write_text(STORED, prepared.lock.to_text())
    else:
        folder.delete(STORED)
