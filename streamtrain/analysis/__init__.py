"""Finished runs: assessed, compared, checked for contamination, exported.

The command line uses it. It reads runs and never changes one, except to add figures.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
