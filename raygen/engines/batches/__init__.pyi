from .queue import BatchQueue as BatchQueue
from .queue import BatchTarget as BatchTarget
from .queue import Timing as Timing
from .service import BatchEndedError as BatchEndedError
from .service import BatchProgress as BatchProgress
from .service import BatchService as BatchService
from .service import Outcome as Outcome
from .service import RetryLater as RetryLater
