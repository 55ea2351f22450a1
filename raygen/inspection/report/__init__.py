"""Write one HTML file that shows a dataset and the students trained on it, offline.

Others use `render_report`. It reads a dataset's tables and a student's files, and runs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
