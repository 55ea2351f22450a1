"""Run work on what a stranger made in a process of its own, which limits end where it goes on.

Others use `run_limited` for one piece of work, `LimitedProcess` or the `shared_process` of a
subject for many in one process, and `Limits`; `LimitError` says which limit ended it. `fence_files`
and `load_filter` fence a process from within. It knows nothing of what the work is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
