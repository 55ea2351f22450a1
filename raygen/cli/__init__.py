"""Run the command line `raygen`, with one module per group of commands.

The program's entry point is `main`; `raygen.api` uses the terminal's progress. It parses options,
calls the packages below and prints what they return.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
