from .page import is_report as is_report
from .page import render_report as render_report
