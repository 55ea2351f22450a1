"""The command line `raygen`: one module per group of commands.

Others use nothing of it; the program's entry point is `main`. It parses options, calls the
packages below and prints what they return.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
