"""Texts that a shell can hand over as a path, a folder or a reference, and that name nothing."""

from __future__ import annotations

from click import Group
from click.testing import CliRunner

from tests.support.hostile_texts import harmful

ODD = [
    "://", "x://", "://x", "x://\udcff", "zip://a::b", "a::b", "http://[", "http://h:99999/x",
    "github://a:b@", "hf://", "hf://x", "hf://datasets/a/\udcff", "git+https://", "git+file://\udcff",
    "git+https://\udcff/x", "https://", "s3://", "gs://", "az://", "memory://", "data:,x",
    "simplecache::s3://", "a\udcffb", "\udc80", "x" * 300, "x/" * 3000, "~nobody-here/x", "C:\\x",
    "a\nb", "\x1b[2J", "", "%2e%2e", "[::1]", "file:///\udcff", "http://h:99999/x.jsonl",
]  # fmt: skip
"""What a shell can hand over; among it undecodable bytes, which Python reads as surrogates."""


def check_refused(group: Group, lines: tuple[str, ...], odd: str) -> None:
    """Run each line of arguments with the text in place of ODD: it ends with one error of ours."""
    for line in lines:
        words = [word.replace("ODD", odd) for word in line.split()]
        result = CliRunner().invoke(group, words)
        assert isinstance(result.exception, SystemExit), (line, result.exception)
        assert result.exit_code in (1, 2), (line, result.output)
        assert "unexpected" not in result.output, line
        assert harmful(result.output) == [], line
