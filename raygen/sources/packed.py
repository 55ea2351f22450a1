"""Packed files of a source: by which suffix they are known, and how they are unpacked.

Knows nothing of formats or of where a file lies.
"""

from __future__ import annotations

from collections.abc import Mapping

PACKINGS: Mapping[str, str] = {
    ".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zstd": "zstd", ".xz": "xz",
}  # fmt: skip


def unpacked_name(name: str) -> str:
    """Strip the suffix of a packing from a file's name."""
    return next((name.removesuffix(end) for end in PACKINGS if name.endswith(end)), name)


def packing_of(name: str) -> str | None:
    """Return the packing that a file's name says, None for none."""
    return next((packing for end, packing in PACKINGS.items() if name.endswith(end)), None)
