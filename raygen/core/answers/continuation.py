"""Find where a model may have gone on with a question of its own.

Base models continue the pattern of their prompt: after their answer stands another question, with
its options and its answer. Whether the question before it was answered is for the reader to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORDS = (
    r"question|problem|exercise|q|premise|hypothesis|text|passage|context|input|instruction"
    r"|statement|sentence|review|example|options|choices|answer\s+choices|answer\s+options"
    r"|frage|aufgabe|énoncé|pregunta|domanda|pergunta|vraag|pytanie|вопрос|задача"
    r"|opciones|opzioni|opções|opties|opcje|варианты(?:\s+ответа)?|optionen"
)
_SCRIPTS = r"(?:问题|問題|题目|題目|质問|質問|选项|選項|選択肢|질문|문제|보기|问|問|例题)"
_HEAD = re.compile(
    rf"\n[^\S\n]*[#*>_]{{0,4}}[^\S\n]*(?:(?:next|new|another|the\s+next|follow-up)\s+)?"
    rf"(?:(?:{_WORDS})[^\S\n]*(?:no\.?\s*|#)?(?:\d{{1,4}})?|{_SCRIPTS}\s*\d*)[*_]{{0,2}}[^\S\n]*[:.)]"
    r"|\n[^\S\n]*(?:\#{1,4}[^\S\n]*)?(?:human|user|instruction)[^\S\n]*:"
    r"|\n[^\S\n]*\#{2,4}[^\S\n]+(?:question|problem|exercise|instruction|human|user)\b"
    r"|<\|(?:im_start|im_end|user|endoftext|end|eot_id|start_header_id)\|?>|\[/?INST\]"
    r"|\n[^\S\n]*[(\[]?A[)\].:][^\S\n]*(?P<item>[^\n(]{1,60}?)\s+[(\[]?B[)\].:][^\S\n]*\S",
    re.IGNORECASE,
)
_SPEAKS_OF_IT = re.compile(
    r"\b(?:is|are|was|isn't|not|no|wrong|correct|right|incorrect|because|would|can|cannot)\b",
    re.IGNORECASE,
)
"""What makes "A: ... B: ..." a discussion of the options, and no list of them."""
_NUMBERED = re.compile(
    r"\s*[#*_]{0,4}\s*(?:question|problem|exercise|q)[^\S\n]*#?\d", re.IGNORECASE
)
"""What a text begins with that answers several questions itself."""
_MOST = 8


def new_questions(text: str) -> Iterator[int]:
    """Find the ends of what stands before a line that may begin a question or a list of options."""
    if "\n" not in text and "<|" not in text and "[" not in text:
        return
    count = 0
    answers_several = _NUMBERED.match(text) is not None
    for match in _HEAD.finditer(text):
        item = match["item"]
        if (item and _SPEAKS_OF_IT.search(item)) or (answers_several and _NUMBERED.match(match[0])):
            continue
        end = len(text[: match.start()].rstrip())
        if end:
            yield end
            count += 1
            if count == _MOST:
                return
