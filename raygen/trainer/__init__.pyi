from .metrics import Accuracy as Accuracy
from .metrics import TrainerState as TrainerState
from .process import Trainer as Trainer
from .student import Training as Training
from .student import discard_students as discard_students
from .student import students_of as students_of
from .student import training_of as training_of
from .student import training_problems as training_problems
