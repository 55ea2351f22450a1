"""One HTML file that shows a dataset and what was trained on it, offline.

Reads what is on disk: a dataset's tables, a student's files. Knows nothing of running things.
"""

from raygen.inspection.report.page import render_report

__all__ = ["render_report"]
