"""For tests of ops, one's own too: a fake model to run them on, and what every op must keep to."""

from raygen.testing.context import FakeContext, Script, reasons, run_op
from raygen.testing.contract import ContractError, check_op

__all__ = ["ContractError", "FakeContext", "Script", "check_op", "reasons", "run_op"]
