"""What several ops share: prompts, sampling parameters, spans, predictions, structured answers.

Ops use it, and ops of other packages may. It registers nothing by itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
