"""Pictures as PNG or SVG, by the file's suffix: heatmaps, curves, and dots with intervals.

The one home of matplotlib, which is loaded when a picture is drawn. Knows nothing of what is shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.dataset import DatasetError, check_replaceable
from streamtrain.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")

_LONGEST = 8
"""Characters that fit into a cell."""

_HEADER = 2_000
"""Characters in which matplotlib names itself, in both kinds of file."""

_DPI = 150
_COLOURS = "viridis"
_MARK = "#d62728"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A heatmap of shares from 0 to 1; None is an empty cell. `texts` go into the cells; `marked`
    (row, column) cells get a frame; a gap comes before the column and row of the two breaks."""

    values: Sequence[Sequence[float | None]]
    texts: Sequence[Sequence[str]]
    rows: Sequence[str]
    columns: Sequence[str]
    title: str
    row_axis: str
    column_axis: str
    scale: str
    marked: frozenset[tuple[int, int]] = frozenset()
    column_break: int | None = None
    row_break: int | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Named curves of shares by number, counted from 1; `level` is a named horizontal line."""

    curves: Sequence[tuple[str, Sequence[float]]]
    x_axis: str
    y_axis: str
    title: str
    level: tuple[str, float]


@dataclass(frozen=True, slots=True)
class Dot:
    """A share with its interval, of one `series` in a `group`."""

    group: str
    series: str
    value: float
    low: float
    high: float


def check_picture(file: Path) -> None:
    """Raise InputError for a file that can't become a picture, or is another program's."""
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{file}: found {file.suffix or 'no suffix'}; a picture is one of {', '.join(SUFFIXES)}"
        )
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file}: there is no folder {file.absolute().parent}; make it first")
    try:
        check_replaceable(file, lambda text: "Matplotlib" in text[:_HEADER], "--picture FILE")
    except DatasetError as error:
        raise InputError(str(error)) from error


def heatmap(heats: Sequence[Heatmap], file: Path) -> None:
    """Draw heatmaps, one below the other. Raises OSError."""
    sizes = [_size(heat) for heat in heats]
    width, height = max(w for w, _ in sizes), sum(h for _, h in sizes)
    figure = _figure(width, height)
    axes = figure.subplots(len(heats), squeeze=False, height_ratios=[h for _, h in sizes])
    for (at,), heat in zip(axes, heats, strict=True):
        _draw_heat(figure, at, heat)
    _save(figure, file)


def curves(lines: Lines, file: Path) -> None:
    """Draw curves. Raises OSError."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(7.5, 4.2 + 0.22 * len(lines.curves))
    at = figure.subplots()
    for (name, values), colour in zip(lines.curves, _shades(len(lines.curves)), strict=True):
        numbers = range(1, len(values) + 1)
        at.plot(numbers, values, marker="o", markersize=3, color=colour, label=_plain(name))
    name, level = lines.level
    at.axhline(level, color="0.4", linestyle="--", linewidth=1, label=_plain(name))
    at.set_ylim(-0.02, 1.02)
    at.xaxis.set_major_locator(MaxNLocator(integer=True))
    at.set_xlabel(lines.x_axis)
    at.set_ylabel(lines.y_axis)
    at.set_title(_plain(lines.title), fontsize=10)
    at.grid(color="0.9")
    figure.legend(loc="outside lower left", frameon=False, fontsize=8)
    _save(figure, file)


def dots(points: Sequence[Dot], levels: Sequence[tuple[str, float]], axis: str, file: Path) -> None:
    """Draw a line of dots with intervals for each series, grouped, and each group's level.

    `levels` are (group, level), in the order of the groups. Raises OSError.
    """
    series = list(dict.fromkeys(dot.series for dot in points))
    colours = dict(zip(series, _shades(len(series)), strict=True))
    groups = [name for name, _ in levels]
    y, edges, middles = 0.0, [], []
    figure = _figure(7.5, 1.4 + 0.26 * (len(points) + len(groups)) + 0.2 * len(series))
    at = figure.subplots()
    for group, level in levels:
        begin = y
        for dot in (dot for dot in points if dot.group == group):
            # Kept figures may be rounded to beside the value.
            reach = [[max(0.0, dot.value - dot.low)], [max(0.0, dot.high - dot.value)]]
            at.errorbar(dot.value, y, xerr=reach, fmt="o", capsize=3, color=colours[dot.series])
            y += 1
        at.vlines(level, begin - 0.5, y - 0.5, color="0.4", linestyle="--", linewidth=1)
        edges.append(y)
        middles.append((begin + y - 1) / 2)
        y += 1
    for edge in edges[:-1]:
        at.axhline(edge, color="0.9")
    at.set_yticks(middles, [_plain(group) for group in groups])
    at.set_ylim(y - 1.3, -0.7)
    at.set_xlim(-0.01, 1.01)
    at.xaxis.set_major_formatter(_percent())
    at.set_xlabel(axis)
    at.grid(axis="x", color="0.9")
    _legend(figure, colours)
    _save(figure, file)


def _draw_heat(figure: Figure, at: Axes, heat: Heatmap) -> None:
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.patches import Rectangle

    shade = colormaps[_COLOURS]
    across = _coordinates(len(heat.columns), heat.column_break)
    down = _coordinates(len(heat.rows), heat.row_break)
    for row, y in enumerate(down):
        for column, x in enumerate(across):
            value = heat.values[row][column]
            if value is None:
                continue
            at.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, color=shade(value), linewidth=0))
            ink = "black" if np.dot(shade(value)[:3], (0.3, 0.59, 0.11)) > 0.5 else "white"
            text = _short(heat.texts[row][column])
            at.text(x, y, text, ha="center", va="center", fontsize=7, color=ink, parse_math=False)
    for row, column in heat.marked:
        corner = (across[column] - 0.46, down[row] - 0.46)
        at.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=_MARK, linewidth=2))
    at.set_xlim(-0.5, across[-1] + 0.5)
    at.set_ylim(down[-1] + 0.5, -0.5)
    at.set_xticks(across, [_short(name, 24) for name in heat.columns], parse_math=False)
    at.tick_params(axis="x", labelrotation=60, labelsize=8, length=0)
    for label in at.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    at.set_yticks(down, [_plain(name) for name in heat.rows], parse_math=False)
    at.tick_params(axis="y", labelsize=8, length=0)
    for side in at.spines.values():
        side.set_visible(False)
    at.set_xlabel(heat.column_axis, fontsize=9)
    at.set_ylabel(heat.row_axis, fontsize=9)
    at.set_title(_plain(heat.title), fontsize=10, loc="left", parse_math=False)
    bar = figure.colorbar(ScalarMappable(cmap=shade), ax=at, fraction=0.03, pad=0.01)
    bar.set_label(_plain(heat.scale), fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _size(heat: Heatmap) -> tuple[float, float]:
    """Compute the size of a heatmap in inches."""
    names = max(len(name) for name in heat.rows)
    below = max(len(_short(name, 24)) for name in heat.columns)
    width = 0.62 * max(len(heat.columns), 6) + 0.07 * names + 1.6
    return width, 0.26 * max(len(heat.rows), 4) + 0.07 * below + 1.1


def _coordinates(count: int, gap: int | None) -> list[float]:
    return [index + (0.25 if gap is not None and index >= gap else 0.0) for index in range(count)]


def _figure(width: float, height: float) -> Figure:
    """Make a figure of its own: nothing drawn on it changes another picture."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def _shades(count: int) -> list[Any]:
    from matplotlib import colormaps

    # The far end is too pale for a line on white.
    return [colormaps[_COLOURS](0.85 * n / max(1, count - 1)) for n in range(count)]


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=0)


def _legend(figure: Figure, colours: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker="o", label=_plain(name))
        for name, colour in colours.items()
    ]
    handles.append(Line2D([], [], color="0.4", linestyle="--", label="chance"))
    figure.legend(handles=handles, loc="outside lower left", frameon=False, fontsize=8)


def _save(figure: Figure, file: Path) -> None:
    draft = file.with_name(f".{file.stem}.{uuid.uuid4().hex[:8]}.tmp{file.suffix}")
    figure.savefig(draft, dpi=_DPI)
    draft.replace(file)


def _short(text: str, longest: int = _LONGEST) -> str:
    text = _plain(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _plain(text: str) -> str:
    """Replace what can't be drawn: line breaks, and characters that the font lacks."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    text = text.replace("\n", "⏎").strip() or "␣"
    return "".join(letter if font.get_char_index(ord(letter)) else "□" for letter in text)
