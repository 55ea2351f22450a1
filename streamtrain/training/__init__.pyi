from .outcome import CARD as CARD
from .outcome import describe_student as describe_student
from .outcome import find_student as find_student
from .outcome import holds_student as holds_student
from .outcome import read_outcome as read_outcome
from .ray_backend import run_training as run_training
