"""How things read in a terminal. Pure functions to rich renderables."""

from raygen.views.graph import graph_view, mermaid
from raygen.views.lock import lock_view
from raygen.views.ops import op_json, op_view, ops_view, prompts_text
from raygen.views.plan import plan_view
from raygen.views.preview import preview_view
from raygen.views.status import status_view

__all__ = [
    "graph_view",
    "lock_view",
    "mermaid",
    "op_json",
    "op_view",
    "ops_view",
    "plan_view",
    "preview_view",
    "prompts_text",
    "status_view",
]
