"""Room in a model for tokens that it was not made with.

Knows nothing of tokenizers or adapters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def add_embedding_rows(model: Any, tokens: Sequence[int]) -> None:
    """Give the tokens rows in both embeddings, each the mean of the rows that were there before.

    Some models have spare rows; none is ever taken away.
    """
    old = model.get_input_embeddings().weight.shape[0]
    if max(tokens) >= old:
        model.resize_token_embeddings(max(tokens) + 1, mean_resizing=False)
    new = set(tokens)
    known = [row for row in range(old) if row not in new]
    with torch.no_grad():
        for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
            if embedding is not None:
                embedding.weight[list(tokens)] = embedding.weight[known].mean(dim=0)
