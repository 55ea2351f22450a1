"""Models in this process by transformers: causal, encoder-decoder, classifier.

The registry of engines starts them with `start_transformers`; students are loaded, scored and
sampled by the same functions. It knows nothing of vLLM or endpoints.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
