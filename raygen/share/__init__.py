"""Share datasets: write the card, push and pull, export to other formats.

Others use `push`, `pull`, `export_examples` and `write_card`. It copies finished datasets, and
knows nothing of running a plan.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
