"""Look at datasets: open one with its plan, browse its rows, compare two, write a report.

Others use an opened dataset, the facts of its card, marked-up values and the layout of a graph;
the folders below browse, diff and report. It replays recorded rows and never calls an engine.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
