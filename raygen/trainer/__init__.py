"""The student's process beside a run: its config, its start and restart, its metrics.

Others use `Training` to check and start a student, `Trainer` to watch it, and `TrainerState` to
show it. It runs `streamtrain` as a program and imports nothing of it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
