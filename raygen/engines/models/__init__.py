"""Find a model and say what it is: bundled, in a folder, in the hub's cache, an adapter.

Others use it to resolve names, to fingerprint weights and to read tokenizers without weights. It
starts no engine and loads no weights.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
