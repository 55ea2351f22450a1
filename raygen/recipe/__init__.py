"""YAML to a checked `Recipe`: schema, params, extends, profile, graph, trust, lock.

Others use `load_recipe`, `Recipe`, `Profile` and `Lock`. It reads files and declarations of ops;
it starts nothing and looks at no source rows.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
