"""Read what a stranger names as anybody could: without the user's credentials, in the public net.

Others ask `Anonymous` for the options of the libraries that read files and tables. It knows
nothing of recipes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
