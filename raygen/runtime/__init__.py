"""Run a plan's rows: programs over engines in workers, blocks over Ray, commits by a driver.

Others use `Driver` to run a plan, `Worker` and `RowProgram` to run rows by hand, and `preview` for
a few rows without a dataset. It prints nothing; snapshots go to whoever shows them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
