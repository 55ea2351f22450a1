"""YAML with the position of everything in it, and messages that point there.

Others use `Document` and `load_document` to read a file, `parse_model` to check it against a
pydantic model, and `override` for `--set`. It doesn't know what a recipe or a student is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
