"""Read source rows and give each its key: files, globs, the hub, Delta tables.

Others use `scan_columns` to look at a source, `take_rows` to map and key it, and `KeyedSource` to
read rows by number. It knows tasks, and nothing of graphs or engines.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
