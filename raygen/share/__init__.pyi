from .examples import read_examples as read_examples
from .export_files import export_examples as export_examples
from .formats import FORMATS as FORMATS
from .formats import Format as Format
from .own_card import discard_card as discard_card
from .own_card import write_card as write_card
from .transfer import pull as pull
from .transfer import push as push
