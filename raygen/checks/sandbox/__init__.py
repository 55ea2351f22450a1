"""Run a stranger's Python program where it can do no harm: one process that sees nothing of ours.

Others use `run_program` and what it returns. It knows nothing of tests or answers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
