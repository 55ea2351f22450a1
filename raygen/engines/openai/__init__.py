"""Any OpenAI-compatible endpoint as an engine: requests, retries, an adaptive limit.

Only the registry of engines uses `OpenAIEngine`. It knows HTTP and JSON, and nothing of local
models.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
