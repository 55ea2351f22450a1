"""Reading a model's answer. Knows nothing of engines or ops."""

from raygen.core.answers.choice import Answer, names_option, read_answer
from raygen.core.answers.free import FreeAnswer, answer_key, read_free_answer

__all__ = [
    "Answer",
    "FreeAnswer",
    "answer_key",
    "names_option",
    "read_answer",
    "read_free_answer",
]
