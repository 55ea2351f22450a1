"""Write first files: a recipe from a few answers, the package of a new op.

Others use `write_recipe`-like functions of `recipe` and `op_package`. It knows templates and
guesses of a source; it checks nothing that loading a recipe checks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
