"""The whole lines of a file, read while another process appends to it.

Knows nothing of what stands in them.
"""

from __future__ import annotations

import os
from pathlib import Path


class LineTail:
    """Reads what a growing file got since the last call.

    A line that isn't ended yet waits for its end. A file that was replaced or shortened is read
    from its beginning; one that isn't there has no lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0

    def skip(self) -> None:
        """Pass over all that the file has now, also a line that a killed writer left half."""
        if self._path.exists():
            status = self._path.stat()
            self._inode, self._offset = status.st_ino, status.st_size

    def read(self) -> list[bytes]:
        """Return the lines that are new, without their ends. Raises OSError."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return []
        with file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._inode, self._offset = status.st_ino, 0
            file.seek(self._offset)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        return complete.splitlines()
