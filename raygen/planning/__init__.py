"""Recipe to a checked, hashed and priced `Plan`.

Others use `prepare` for a plan with its source, `Plan` and `Node` to run it, and estimates, reuse
and resources to say what a run will cost. It starts no engine and writes no rows.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
