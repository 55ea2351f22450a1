"""A student's answers to held-out questions, and figures with intervals.

Others use predictions, votes, metrics, fidelity and records on disk. It trains nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
