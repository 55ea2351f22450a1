"""Rows to tensors: the stream of a growing dataset, its order, texts, batches.

Others use `ShardStream` over a dataset's feed, and collated batches with a loss weight on each
token. It knows tokenizers, and nothing of models or losses.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
