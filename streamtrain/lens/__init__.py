"""Look inside a student: what each layer already knows of the label.

The command line uses `apply_lens` and the tuned lens. It loads a finished student in eval mode and
trains nothing but the lens's own maps.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
