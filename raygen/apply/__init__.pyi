from .consent import confirm_first_use as confirm_first_use
from .request import ApplyRequest as ApplyRequest
from .run import apply as apply
