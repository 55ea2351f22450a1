from .overlap import HeldOut as HeldOut
from .overlap import shared_questions as shared_questions
from .prediction import Prediction as Prediction
from .prediction import majority_vote as majority_vote
from .questions import Question as Question
from .questions import read_questions as read_questions
from .questions import read_rows as read_rows
from .teacher_answers import most_likely_answer as most_likely_answer
