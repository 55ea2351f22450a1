"""Look at datasets: open one with its plan, browse its rows, compare, report.

Others use `facts` of a dataset and marked-up values; the folders below browse, diff and report. It
runs recorded rows again where it must, and never pays an engine.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
