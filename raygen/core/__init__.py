"""Values and words that everything else is made of: rows, tasks, templates, errors, formatting.

Others use rows (`Row`, `Reject`), tasks, sandboxed templates, the base of all errors, and small
tools for text, figures and processes. It knows nothing of YAML, engines, datasets or recipes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
