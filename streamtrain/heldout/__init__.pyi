from .overlap import HeldOut as HeldOut
from .overlap import shared as shared
from .prediction import Prediction as Prediction
from .prediction import vote as vote
from .questions import Question as Question
from .questions import read_questions as read_questions
from .questions import read_rows as read_rows
from .teacher_answers import likeliest as likeliest
