from .characters import fold as fold
from .choice import Answer as Answer
from .choice import read_answer as read_answer
from .free import FreeAnswer as FreeAnswer
from .free import answer_key as answer_key
from .free import read_free_answer as read_free_answer
from .options import names_option as names_option
