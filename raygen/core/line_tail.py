"""Read the complete lines of a file while another process appends to it.

Knows nothing of what the lines mean.
"""

from __future__ import annotations

import os
from pathlib import Path


class LineTail:
    """Reads what was appended to a file since the last call.

    A line that isn't complete yet waits for its end. A file that was replaced or shortened is read
    from its beginning; a missing file has no lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0

    def skip(self) -> None:
        """Skip the present content, including a partial line that a killed writer left."""
        if self._path.exists():
            status = self._path.stat()
            self._inode, self._offset = status.st_ino, status.st_size

    def read(self) -> list[bytes]:
        """Return the new complete lines, without line ends. Raises OSError."""
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
