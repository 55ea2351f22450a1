"""Charts as SVG text: specifications that lie beside this, filled with values and drawn by Vega.

Their colours are variables of the page, so that one picture serves light and dark. Nothing is
fetched. The only user of vl_convert. Knows nothing of what the values mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Values = Sequence[Mapping[str, Any]]
_SHORT = 16
"""Letters of a group's name of which two fit beside each other."""

Kind = Literal["histogram", "bars", "dumbbell", "lines", "intervals", "heat"]

_PALETTE = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)")


def chart(
    kind: Kind,
    values: Values,
    words: str,
    titles: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
) -> str:
    """A chart of values; `words` say what it shows to those who can't see it.

    `titles` are those of the axes, by channel. Values of several groups have a legend; `colours`
    are theirs where they mean something, as prompt and output do.
    """
    import vl_convert

    spec = _specification(f"{kind}.vl.json")
    spec |= {"data": {"values": list(values)}, "description": words}
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
    return _named(svg, words)


def flow_chart(drawing: Mapping[str, Values], size: tuple[float, float], words: str) -> str:
    """The flow of rows, of which `drawing` has the ribbons, blocks and texts in their places."""
    import vl_convert

    spec = _specification("flow.vg.json")
    spec |= {"width": size[0], "height": size[1], "description": words}
    for data in spec["data"]:
        data["values"] = list(drawing[data["name"]])
    spec["config"] = {"text": {"font": _specification("config.json")["font"]}}
    svg: str = vl_convert.vega_to_svg(spec, allowed_base_urls=[])
    return _named(svg, words)


def _named(svg: str, words: str) -> str:
    """The picture with its name, which Vega gives to canvases alone."""
    from markupsafe import escape

    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(words)}" ', 1)


def _specification(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_text(name))
    return found


@cache
def _text(name: str) -> str:
    return (files(__package__) / "charts" / name).read_text("utf-8")
