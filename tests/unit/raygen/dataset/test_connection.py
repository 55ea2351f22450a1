"""Which faults of an object store are worth another try, and how they are told."""

from __future__ import annotations

import pytest

from raygen.dataset.connection import connection_broke, message_of, retry_idempotent

CUT = """Generic S3 error
          \x1b[31m↳\x1b[0m Error performing PUT http://store/x in 2.2ms - HTTP error
           \x1b[31m↳\x1b[0m error sending request
            \x1b[31m↳\x1b[0m Connection reset"""
TRIED = "Error performing GET http://store/x in 180s, after 10 retries - HTTP error"


def test_a_connection_that_broke_is_told_from_a_refusal_and_from_a_store_that_is_away() -> None:
    assert connection_broke(OSError(CUT))
    assert not connection_broke(OSError(TRIED))
    assert not connection_broke(OSError("Server returned 403 Forbidden: Access Denied"))
    assert not connection_broke(FileNotFoundError(2, "No such file or directory"))


def test_a_tree_of_causes_becomes_one_line() -> None:
    assert message_of(OSError(CUT)) == (
        "Generic S3 error: Error performing PUT http://store/x in 2.2ms - HTTP error: "
        "error sending request: Connection reset"
    )
    assert message_of(OSError()) == "OSError"
    assert len(message_of(OSError("x" * 5000))) == 400


@pytest.mark.parametrize(("faults", "passes"), [(3, True), (5, True), (6, False)])
def test_it_is_tried_six_times_at_most(
    monkeypatch: pytest.MonkeyPatch, faults: int, passes: bool
) -> None:
    monkeypatch.setattr("raygen.dataset.connection._FIRST_WAIT_S", 0.0)
    tries = 0

    def action() -> str:
        nonlocal tries
        tries += 1
        if tries <= faults:
            raise OSError(CUT)
        return "done"

    if passes:
        assert retry_idempotent(action) == "done"
    else:
        with pytest.raises(OSError, match="Connection reset"):
            retry_idempotent(action)
    assert tries == min(faults + 1, 6)
