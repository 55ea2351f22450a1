"""Write and delete the card in a dataset's own folder, beside its tables.

Knows nothing of what a card says.
"""

from __future__ import annotations

from raygen.dataset import DatasetError, Folder, storage_errors
from raygen.inspection import card_facts, open_dataset
from raygen.share.card import CARD, SIGNATURE, CardLinks, dataset_card

_MOST_FILES = 500


def write_card(folder: Folder) -> str:
    """Write a dataset's card anew, and return its path. Raises DatasetError.

    The header names each file of the examples, since files of replaced rows lie beside them.
    """
    facts = card_facts(open_dataset(folder))
    if _has_card(folder) and not _is_ours(folder):
        raise DatasetError(
            f"{folder.join(CARD)} is no card that raygen wrote, and stays as it is; move it away",
            exit_code=2,
        )
    data = facts.files if len(facts.files) <= _MOST_FILES else ()
    load = (
        f'"path/to/{folder.uri.rpartition("/")[2]}", split="train"' if data and folder.local else ""
    )
    text = dataset_card(facts, CardLinks(data, load))
    with storage_errors("write the card", folder.uri):
        folder.write_text(CARD, text)
    return folder.join(CARD)


def discard_card(folder: Folder) -> None:
    """Delete the card of rows that are being replaced. Raises DatasetError."""
    if _has_card(folder) and _is_ours(folder):
        with storage_errors("delete the card", folder.uri):
            folder.delete(CARD)


def _has_card(folder: Folder) -> bool:
    with storage_errors("look for the card", folder.uri):
        return folder.exists(CARD)


def _is_ours(folder: Folder) -> bool:
    with storage_errors("read the card", folder.uri):
        return SIGNATURE in folder.read_text(CARD)
