"""The steps of a recipe's graph: pure functions from a row to rows or a reject, one op per file.

Others use `Op`, `OpParams` and `Context` to write or run an op, and `all_ops` to find them. An op
touches no files, clock, Ray or vLLM; its context gives it the engine and a seed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
