"""Write and read `control/`: the driver's heartbeat, a request that it stop, and a probe.

Knows nothing of tables.
"""

from __future__ import annotations

import json
import time

from raygen.dataset.storage import Folder, storage_errors

HEARTBEAT = "control/heartbeat"
STOP = "control/stop"


class Heartbeat:
    """Write `control/heartbeat`, at most every second on local disk and every 15 s elsewhere."""

    def __init__(self, folder: Folder, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._every = 1.0 if folder.local is not None else 15.0
        self._last = float("-inf")
        self._beats = 0

    def beat(self) -> None:
        """Write the file if the last one is old enough. Raises DatasetError."""
        if time.monotonic() - self._last < self._every:
            return
        with storage_errors("write the heartbeat", self._folder.join(HEARTBEAT)):
            self._beats += 1
            text = json.dumps({"beat": self._beats, "run": self._run_id})
            self._folder.write_text(HEARTBEAT, text)
        self._last = time.monotonic()


def read_heartbeat(folder: Folder) -> str | None:
    """Read the heartbeat file, whose content changes with every beat; None before the first.

    Raises DatasetError.
    """
    with storage_errors("read the heartbeat", folder.join(HEARTBEAT)):
        try:
            return folder.read_text(HEARTBEAT)
        except FileNotFoundError:
            return None


def request_stop(folder: Folder, reason: str) -> None:
    """Ask the driver to stop after the rows in flight. Raises DatasetError."""
    with storage_errors("write the stop file", folder.join(STOP)):
        folder.write_text(STOP, reason)


def stop_reason(folder: Folder) -> str | None:
    """Read why the driver is to stop; None where nobody requested it. Raises DatasetError."""
    with storage_errors("read the stop file", folder.join(STOP)):
        try:
            return folder.read_text(STOP)
        except FileNotFoundError:
            return None


def clear_stop(folder: Folder) -> None:
    """Withdraw an earlier request to stop. Raises DatasetError."""
    with storage_errors("delete the stop file", folder.join(STOP)):
        folder.delete(STOP)


def write_probe(folder: Folder, run_id: str) -> str:
    """Write a file by which workers check that they reach the folder. Raises DatasetError."""
    probe = f"control/probe-{run_id}"
    with storage_errors("write the probe", folder.join(probe)):
        folder.write_text(probe, run_id)
    return probe


def delete_probe(folder: Folder, probe: str) -> None:
    """Delete the probe of a run that has ended. Raises DatasetError."""
    with storage_errors("delete the probe", folder.join(probe)):
        folder.delete(probe)
