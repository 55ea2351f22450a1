"""The first signal asks, the second ends."""

import os
import signal

import pytest

from raygen.core.signals import interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interrupts() as asked:
        assert not asked.requested
        os.kill(os.getpid(), number)
        assert asked.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
