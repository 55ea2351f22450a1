from .files import read_source as read_source
from .keyed import KeyedSource as KeyedSource
from .keyed import TakenRows as TakenRows
from .keyed import key_source as key_source
from .keyed import open_keyed as open_keyed
from .keyed import scan_columns as scan_columns
from .keyed import take_rows as take_rows
from .rows import SourceError as SourceError
