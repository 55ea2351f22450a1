"""Models behind one protocol: vLLM, transformers, OpenAI-compatible endpoints, a fake.

Others use `Engine`, `EngineSpec`, requests, completions and errors, and start an engine by its
spec with `start_engine`; backends are imported only then. It knows nothing of ops or recipes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
