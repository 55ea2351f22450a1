from .base import Lesson as Lesson
from .classification import ClassLesson as ClassLesson
from .language_model import TextLesson as TextLesson
