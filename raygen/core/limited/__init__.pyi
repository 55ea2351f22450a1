from .environment import is_limited as is_limited
from .environment import variable_is_set as variable_is_set
from .fence import fence_files as fence_files
from .fence import load_filter as load_filter
from .limits import LimitError as LimitError
from .limits import Limits as Limits
from .process import LimitedProcess as LimitedProcess
from .process import run_limited as run_limited
