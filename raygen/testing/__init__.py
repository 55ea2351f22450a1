"""Test an op: run it on a fake model, and check the contract that every op keeps.

Others use `check_op`, `run_op` and `FakeContext` in their own tests. It needs no Ray and no model.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
