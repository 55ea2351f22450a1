"""Held-out questions: read, kept apart from each other, answered by a teacher or a student.

Others use `Question`, `read_questions`, `Prediction` and a teacher's recorded answers. It knows
nothing of models or runs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
