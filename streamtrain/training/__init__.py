"""The loop: steps over ranks, schedule, checkpoints, selection, what a run leaves.

Others use `train`, the outcome of a finished run and its card. It runs under Ray Train by
`ray_backend`, and knows nothing of commands.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
