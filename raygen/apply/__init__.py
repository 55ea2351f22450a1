"""Run one `raygen apply`: ask, lock, key the source, run, train, sum up, or resume what is left.

Others use `apply` with an `ApplyRequest`. It ties the packages below together and holds no logic
of rows or tables itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
