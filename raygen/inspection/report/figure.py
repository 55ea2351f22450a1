"""Build the sections of the page: figures, each as a table and as an SVG chart.

Charts are the Vega-Lite specifications in `charts/`, filled with values. Their colours are
variables of the page, so that one picture serves light and dark; nothing is fetched. The only user
of vl_convert. Knows nothing of what the values mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from markupsafe import escape

Values = Sequence[Mapping[str, Any]]
_SHORT = 16
"""The longest name of a group, in characters, of which two fit in a line of the legend."""

Kind = Literal["histogram", "bars", "dumbbell", "lines", "intervals", "heat"]

_PALETTE = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)")


@dataclass(frozen=True, slots=True)
class FigureTable:
    """A table of text cells; columns after the first `words` hold numbers and are right-aligned."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the page.

    `pictures` are SVG texts; of two the page shows the one that fits the window. `table` has the
    same values. `image` is a data URL, shown instead of pictures.
    """

    title: str
    pictures: tuple[str, ...]
    table: FigureTable | None = None
    note: str = ""
    wide: bool = False
    image: str = ""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of the page; `id` is its anchor."""

    id: str
    title: str
    figures: Sequence[Figure]
    note: str = ""


def chart(
    kind: Kind,
    values: Values,
    description: str,
    titles: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
    *,
    x: Mapping[str, Any] | None = None,
) -> str:
    """Draw a chart as SVG text.

    Args:
        kind: The Vega-Lite specification in `charts/` to fill.
        values: One mapping per mark, with the fields of that specification; values of several
            `group`s get a legend.
        description: What the chart shows, for readers who can't see it.
        titles: Titles of the axes, by channel.
        colours: Colours by group, where they carry a meaning; else those of the palette.
        x: Additions to the encoding of the x axis.
    """
    import vl_convert

    spec = _specification(f"{kind}.vl.json")
    spec |= {"data": {"values": list(values)}, "description": description}
    if x:
        spec["encoding"]["x"] |= x
    for channel, title in (titles or {}).items():
        spec["encoding"][channel]["title"] = title
    groups = list(dict.fromkeys(str(value["group"]) for value in values if "group" in value))
    scale = {"domain": list(colours), "range": list(colours.values())} if colours else {}
    if groups and not colours:
        scale = {"domain": groups, "range": [*_PALETTE]}
    for layer in [spec, *spec.get("layer", ())]:
        colour = layer.get("encoding", {}).get("color")
        if colour is not None:
            colour["scale"] = scale
            if len(groups) < 2 and not colours:
                colour["legend"] = None
            elif any(len(group) > _SHORT for group in groups):
                colour.setdefault("legend", {"columns": 1})
    svg: str = vl_convert.vegalite_to_svg(
        spec, config=_specification("config.json"), allowed_base_urls=[]
    )
    # Vega gives descriptions to canvases only.
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)


def _specification(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(_text(name))
    return spec


@cache
def _text(name: str) -> str:
    return (files(__package__) / "charts" / name).read_text("utf-8")
