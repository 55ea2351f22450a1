"""The plan that lies beside a dataset's tables, as plan.json has it.

Knows what readers need of it, and nothing of how a plan is made.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from raygen.core import DamagedFileError, parse_json_object
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder, storage_errors

PLAN = "plan.json"
_EXPECTED = (
    "the plan that `raygen apply` wrote beside the tables; put that file back, or run the recipe "
    "again, which writes it anew"
)


class _Node(BaseModel):
    name: str
    op: str
    op_version: int
    inputs: list[str] = Field(alias="from")
    engine: str | None
    params: dict[str, Any]
    adds: dict[str, str]


class _Engine(BaseModel):
    model: str
    revision: str | None


class _Plan(BaseModel):
    hash: str
    recipe: str
    task: str
    labels: list[str]
    engines: dict[str, _Engine]
    nodes: list[_Node]
    outputs: list[str]
    columns: dict[str, str]


def read_plan(folder: Folder) -> dict[str, Any] | None:
    """Return the plan in a dataset's folder, None where there is none.

    Raises DatasetError, also for a file that is damaged or somebody else's.
    """
    where = folder.join(PLAN)
    with storage_errors("read the plan", where):
        if not folder.exists(PLAN):
            return None
        content = folder.read_text(PLAN)
    try:
        return parse_json_object(content, where, _EXPECTED, _Plan)
    except DamagedFileError as error:
        raise DatasetError(str(error), exit_code=2) from error
