from . import cache as cache
from .boundary import escape_reason as escape_reason
from .fetch import find_recipe as find_recipe
from .fetch import recipe_in as recipe_in
from .gather import LOCK_ENDING as LOCK_ENDING
from .ref import Fetched as Fetched
from .ref import Permissions as Permissions
from .ref import UnfetchedError as UnfetchedError
