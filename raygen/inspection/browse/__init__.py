"""Look at a dataset's rows: what was kept, what was dropped and why, what people judged.

Others use a catalogue of items, seeded samples, and verdicts with the precision of filters that
follows from them. It writes verdict files and nothing else, and knows nothing of terminals.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
