"""Decide whether an answer is right: one family of checkers, values in and a verdict out.

Others use `check` for one verdict, `settle` for what needs no process, `group_equal` for votes, and
`Verdict`. It knows nothing of rows, ops or recipes, or of how an answer is read from a text.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
