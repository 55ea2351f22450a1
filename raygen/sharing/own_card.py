"""The card in a dataset's own folder, beside its tables.

Knows where it stands; nothing of how it reads.
"""

from __future__ import annotations

from raygen.dataset.folder import Folder, storage_errors
from raygen.dataset.reader import Dataset
from raygen.sharing.card import CARD, Place, dataset_card
from raygen.sharing.facts import facts_of

_MOST_FILES = 500


def write_card(folder: Folder) -> str:
    """Write a dataset's card anew; where it is. Raises DatasetError.

    The header names each file of the examples, since files of replaced rows lie beside them.
    """
    facts = facts_of(Dataset.open(folder))
    data = facts.files if len(facts.files) <= _MOST_FILES else ()
    load = f'"{folder.uri.rpartition("/")[2]}", split="train"' if data and folder.local else ""
    text = dataset_card(facts, Place(data, load))
    with storage_errors("write the card", folder.uri):
        folder.write_text(CARD, text)
    return folder.join(CARD)


def discard_card(folder: Folder) -> None:
    """Delete the card of what is being replaced. Raises DatasetError."""
    with storage_errors("delete the card", folder.uri):
        folder.delete(CARD)
