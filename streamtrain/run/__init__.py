"""One run's specification and folder: what to train, events, loggers, stop requests.

Others use `RunSpec`-like values, the metrics file and the ways to stop a run. It knows nothing of
tensors.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
