"""What is said of a library's error in one line."""

from __future__ import annotations

import pytest

from raygen.core import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("\n no such file\nmore of it\n"), "no such file"),
        (ValueError(), "ValueError"),
        (RuntimeError(" \n"), "RuntimeError"),
    ],
)
def test_the_first_line_that_an_error_has(error: Exception, line: str) -> None:
    assert first_line(error) == line
