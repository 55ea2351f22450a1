"""Read a model's answer: the option, number or phrase that a text settles on.

Others use `read_answer` for questions with options, and `read_free_answer` without. It knows
nothing of engines, of ops, or of which answers are equal.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
