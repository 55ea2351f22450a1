from .generation import Ask as Ask
from .generation import Writer as Writer
from .new_tokens import make_room as make_room
from .scoring import Continuation as Continuation
from .scoring import score as score
