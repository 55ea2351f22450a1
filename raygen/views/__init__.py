"""How things read in a terminal. Pure functions to rich renderables."""

from raygen.views.dataset_diff import dataset_diff_view
from raygen.views.fetched import fetched_view
from raygen.views.graph import graph_view, mermaid
from raygen.views.lock import lock_view
from raygen.views.ops import op_json, op_view, ops_view, prompts_text
from raygen.views.plan import plan_view
from raygen.views.preview import preview_view
from raygen.views.recipe_diff import recipe_diff_view
from raygen.views.status import status_view

__all__ = [
    "dataset_diff_view",
    "fetched_view",
    "graph_view",
    "lock_view",
    "mermaid",
    "op_json",
    "op_view",
    "ops_view",
    "plan_view",
    "preview_view",
    "prompts_text",
    "recipe_diff_view",
    "status_view",
]
