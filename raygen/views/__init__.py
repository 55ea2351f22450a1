"""Render values for the terminal with Rich, one function per subject.

Others use the `*_view` functions, the live progress and the closing summary. A view takes values
and returns a renderable; it reads no datasets and runs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
