"""Recipes by reference: from git, the Hugging Face hub, object stores and the web.

Others use `fetch` and what it returns, the files and where they came from. Of a recipe's content
it knows only which texts may name a file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
