from . import cache as cache
from .companions import LOCK_ENDING as LOCK_ENDING
from .fetch import find_recipe as find_recipe
from .fetch import recipe_in as recipe_in
from .fetched import Fetched as Fetched
from .inside import left as left
