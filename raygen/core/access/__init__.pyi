from .anonymous import Anonymous as Anonymous
from .anonymous import access_to as access_to
from .anonymous import file_options as file_options
from .hosts import private_host as private_host
from .hosts import public_addresses as public_addresses
