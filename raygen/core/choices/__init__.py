"""The options of a question and its gold answer, in the forms in which data is published.

Others use `read_options`, and `decide_form`, which decides for a whole source how its answers are
written. It knows nothing of files, columns or recipes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
