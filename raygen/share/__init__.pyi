from .card import discard_card as discard_card
from .card import write_card as write_card
from .examples import read_examples as read_examples
from .export import FORMATS as FORMATS
from .export import Format as Format
from .export import export_examples as export_examples
from .transfer import pull as pull
from .transfer import push as push
