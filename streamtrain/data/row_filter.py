"""The filter of dataset rows, with the reason for each row that it leaves out.

Knows nothing of streams or of what is learned from a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygen.core import TASKS
from streamtrain.config import StudentConfig
from streamtrain.errors import InputError


class RowFilter:
    """Keeps the rows that a configuration trains on."""

    def __init__(self, config: StudentConfig) -> None:
        data = config.data
        self._nodes = data.nodes
        self._views = None if data.views is None else {str(v): w for v, w in data.views.items()}
        self._learns_rationales = config.kind != "classifier" and data.form.placement != "none"
        self._wrong = data.rationales.wrong

    def refusal(self, row: Mapping[str, Any]) -> str | None:
        """Return why a row is left out, None if it is trained on. Raises InputError for a view that
        the configuration doesn't name."""
        if self._nodes is not None and row.get("node") not in self._nodes:
            return "node"
        if self._views is not None:
            view = str(row.get("view"))
            if view not in self._views:
                raise InputError(
                    f"data.views: the dataset has the view {view!r}, which is not named; named are "
                    f"{', '.join(self._views)}; name it, with weight 0 to leave it out"
                )
            if self._views[view] == 0:
                return "view"
        if self._learns_rationales and self._wrong == "skip" and _led_astray(row):
            return "teacher_wrong"
        return None


def _led_astray(row: Mapping[str, Any]) -> bool:
    """Tell whether a rationale was recorded with a prediction that isn't the row's answer, or that
    couldn't be parsed.

    Sampled rationales have a label of their own and refuting ones speak for no option, so neither
    counts.
    """
    if "predicted" not in row or not row.get("rationale"):
        return False
    if row.get("label") is not None or row.get("refuted") is not None:
        return False
    if row["predicted"] is None:
        return True
    try:
        normalised = TASKS["multiple_choice"].normalise({**row, "answer": row["predicted"]})
    except ValueError as error:
        raise InputError(
            f"example {row.get('id', '(without id)')} of the dataset: predicted can't be read as "
            f"the teacher's answer: {error}; or train on all with data.rationales.wrong: keep"
        ) from None
    return bool(normalised["answer"] != row.get("answer"))
