from .main import main as main
from .terminal import TerminalUI as TerminalUI
