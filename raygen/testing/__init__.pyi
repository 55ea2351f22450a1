from .context import FakeContext as FakeContext
from .context import Script as Script
from .context import reasons as reasons
from .context import run_op as run_op
from .contract import ContractError as ContractError
from .contract import check_op as check_op
