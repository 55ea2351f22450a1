from .process import ProgramEnd as ProgramEnd
from .process import ProgramJob as ProgramJob
from .process import ProgramLimits as ProgramLimits
from .process import SandboxError as SandboxError
from .process import run_program as run_program
