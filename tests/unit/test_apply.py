"""What to type to go on where an apply ended."""

from pathlib import Path

from raygen.apply import ApplyRequest
from raygen.prepare import Reference


def test_the_words_of_a_request_are_those_of_the_command_line() -> None:
    reference = Reference(
        Path("r.yaml"), {"n": "3", "engines.t.gpus": "1"}, Path("p.yaml"), 5, (Path("ops.py"),)
    )
    request = ApplyRequest(reference, "s3://b/out", Path("s.yaml"), True, "auto")
    assert request.words == [
        *("r.yaml", "--set", "n=3", "--set", "engines.t.gpus=1", "--profile", "p.yaml"),
        *("--limit", "5", "--trust", "ops.py"),
        *("--out", "s3://b/out", "--train", "s.yaml", "--address", "auto"),
    ], "but not --fresh, which would start over"
