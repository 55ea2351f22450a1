"""Kinds of student: causal, encoder-decoder, classifier; their teachers, masks and FLOPs.

Others use `load_student` and what it returns. It knows tensors and weights, and nothing of runs'
order or losses.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
