"""Find what differs between two recipes or two datasets.

Others use `compare_named` and its results, `RecipeDiff` and `DatasetDiff`. It prints nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
