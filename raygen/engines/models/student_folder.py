"""What a trained student's folder says of how it was trained.

Reads `student.json`, which streamtrain writes beside the weights. Knows nothing of what is asked
of the student.
"""

from __future__ import annotations

import json
from pathlib import Path

from raygen.engines.base import EngineSpec

STUDENT = "student.json"
_DEFAULT = "after"
"""streamtrain's own, where the settings say nothing."""


def attribution_problem(spec: EngineSpec) -> str | None:
    """Say why gradients of this model toward a label say nothing of a rationale's tokens, or None.

    Only in a student trained with the rationale before the label does anything flow from the label
    back to the rationale. A fake can be asked for anything.
    """
    if spec.backend == "fake":
        return None
    file = Path(spec.model).expanduser() / STUDENT
    expected = (
        "expected the folder of a student that streamtrain trained with data.rationale: before"
    )
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        placement = settings.get("data", {}).get("rationale", _DEFAULT)
    except OSError:
        return f"{spec.model!r} has no {STUDENT}; {expected}"
    except (ValueError, AttributeError):
        return f"{file} can't be read as a student's settings; {expected}"
    if placement != "before":
        return (
            f"{spec.model!r} was trained with data.rationale: {placement}, so that nothing flows "
            f"from its label back to the rationale; {expected}"
        )
    return None
