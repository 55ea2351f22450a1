"""What is minimised: language-model and classification objectives, as functions of tensors.

The training step uses one objective per kind of student. It knows nothing of optimizers, ranks or
files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
