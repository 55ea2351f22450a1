from .base import Objective as Objective
from .classification import ClassificationObjective as ClassificationObjective
from .language_model import LanguageModelObjective as LanguageModelObjective
