from .tuning import Tuning as Tuning
from .view import Looking as Looking
from .view import look as look
