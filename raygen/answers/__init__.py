"""Reading a model's answer. Knows nothing of engines or ops."""

from raygen.answers.choice import Answer, names_option, read_answer
from raygen.answers.free import FreeAnswer, read_free_answer, same_answer

__all__ = [
    "Answer",
    "FreeAnswer",
    "names_option",
    "read_answer",
    "read_free_answer",
    "same_answer",
]
