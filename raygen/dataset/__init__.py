"""The dataset on disk: three Delta tables, committed as one, written, followed and counted.

Others use `Dataset` to read, `write_block` and `Committer` to write, and `Follower` to stream it
while it grows. It knows rows and files, and nothing of recipes, engines or Ray.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
