"""Whatever text a command on runs gets for one: an error that says so, none unexpected."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamtrain.cli.main import main
from tests.support.odd_paths import ODD, check_refused

LINES = (
    "eval ODD --data q.txt", "lens ODD --data q.txt", "lens out --data ODD", "compare ODD",
    "compare out ODD", "export ODD --out x", "sheet ODD --out x", "verdicts ODD",
    "verdicts ODD ODD",
)  # fmt: skip


def test_an_odd_path_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.txt").touch()
    for odd in ODD:
        check_refused(main, LINES, odd)
