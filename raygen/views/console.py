"""The one Console that views are printed to: texts of data, models and strangers do nothing there.

Knows nothing of what is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from raygen.core import visible, visible_characters


class TerminalConsole(Console):
    """A rich Console that takes no text for markup, and shows controls instead of sending them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Render an object to segments whose texts are harmless."""
        if isinstance(renderable, str):
            renderable = visible(renderable)
        elif isinstance(renderable, Text):
            # Before it is laid out, with the styles where they were.
            harmless = visible_characters(renderable.plain)
            if harmless != renderable.plain:
                renderable = renderable.copy()
                renderable.plain = harmless
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
