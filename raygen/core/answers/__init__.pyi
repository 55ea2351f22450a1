from .characters import fold as fold
from .choice import Answer as Answer
from .choice import read_answer as read_answer
from .free import FreeAnswer as FreeAnswer
from .free import read_free_answer as read_free_answer
from .gold import GoldAnswer as GoldAnswer
from .gold import read_gold as read_gold
from .options import names_option as names_option
