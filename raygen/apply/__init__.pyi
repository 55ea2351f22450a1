from .consent import see as see
from .request import ApplyRequest as ApplyRequest
from .run import apply as apply
