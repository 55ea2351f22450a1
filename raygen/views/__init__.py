"""How things read in a terminal. Pure functions to rich renderables."""

from raygen.views.fetched import fetched_view
from raygen.views.graph import graph_view, mermaid
from raygen.views.ops import op_json, op_view, ops_view, prompts_text
from raygen.views.plan import plan_view
from raygen.views.preview import preview_view
from raygen.views.status import status_view

__all__ = [
    "fetched_view",
    "graph_view",
    "mermaid",
    "op_json",
    "op_view",
    "ops_view",
    "plan_view",
    "preview_view",
    "prompts_text",
    "status_view",
]
