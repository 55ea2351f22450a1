"""Write starter files: a recipe from a few answers, the package of a new op.

Others use `Starter`, the guesses about a source that suggest its answers, and `write_package`. It
knows templates; checking a recipe is left to loading it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
