"""Rationales judged blind: written, put on a sheet, judged by people or a model, counted.

Others use sheets, annotations and results. It knows nothing of how a student was trained.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
