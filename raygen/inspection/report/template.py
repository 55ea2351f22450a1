"""Render the page's templates, which escape all text of data and models.

The only trusted markup is what Vega and these templates produce. Knows nothing of the content.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from raygen.core import visible


def render(template: str, **values: Any) -> str:
    """Render a template of this package, by file name."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("raygen.inspection.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = lambda text: visible(str(text))
    environment.filters["trusted"] = Markup
    return environment
