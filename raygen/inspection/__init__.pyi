from .facts import VIEW as VIEW
from .facts import Facts as Facts
from .facts import facts_of as facts_of
from .facts import portable as portable
from .marks import bar as bar
from .marks import changed_words as changed_words
from .marks import marked as marked
from .marks import option as option
