"""student.yaml, checked: model, data, target, objective, optimizer.

Others use `StudentConfig` and its sections. It loads no model and reads no dataset.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
