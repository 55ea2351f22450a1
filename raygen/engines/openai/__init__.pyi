from .engine import OpenAIEngine as OpenAIEngine
from .refusals import RefusalError as RefusalError
from .refusals import RetryableFailure as RetryableFailure
from .refusals import read_refusal as read_refusal
from .retrying import Retrying as Retrying
from .retrying import retry_after_s as retry_after_s
