"""Which vocabulary a tokenizer has: what token numbers of two models must agree on.

Knows nothing of models or texts.
"""

from __future__ import annotations

from typing import Any

from raygen.core import digest


def vocabulary_fingerprint(tokenizer: Any) -> str:
    """Return a fingerprint of a Hugging Face tokenizer's tokens and their numbers.

    Tokens that were added to it count for nothing: a student has control tokens of its own.
    """
    added = tokenizer.get_added_vocab()
    pairs = sorted(pair for pair in tokenizer.get_vocab().items() if pair[0] not in added)
    return digest("vocabulary", pairs)[:16]
