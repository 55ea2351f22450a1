"""Requests that are sent as batches: gathered, sent, polled, and answered hours later.

Engines of endpoints use `BatchQueue` over a `BatchService` of their own form. It knows nothing of
HTTP, or of what a request says.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
