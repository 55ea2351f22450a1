"""Parameters, a row and a model's answers for every op of the registry."""

import json
from collections.abc import Sequence
from typing import Any

from raygen.engines.base import Sampling, TokenScore
from raygen.testing import Script

QUESTION: dict[str, Any] = {"question": "What falls?", "choices": ["sand", "snow"], "answer": 1}
WITH_RATIONALE = {**QUESTION, "rationale": "Snow is cold.", "label": 1}
ANSWERS = ["Cold. So the answer is: (b)", "Dry. So the answer is: (a)", "I do not know."]
SCORED = Script(ANSWERS, scores=lambda prompt, texts: [-1.0 - len(text) for text in texts])
COUNTERFACTUAL = {
    **QUESTION,
    "original": "What swims?",
    "original_answer": 0,
    "target": 1,
    "variant": "counterfactual",
}
MASKED = {**QUESTION, "masked": "What [MASK]?", "topic": "sky", "parts": ["What", "falls"]}
NAMED = Script(
    scores=SCORED.scores,
    answers=["What swims?", "What falls?"],
    attributions=lambda text, start, target: [TokenScore("Snow", start, start + 4, 1.0)],
    neighbours=lambda word, k: [f"{word}{place}" for place in range(k)],
)
_FIELDS = {
    "mark": {"topic_words": ["falls"], "noun_phrases": []},
    "fill": {"fills": ["swims"]},
    "wrong answer": {"refutation": "Sand is warm."},
    "change": {"edited": "What swims?"},
}


def _as_json(prompt: str, sampling: Sampling) -> list[str]:
    fields = next(fields for word, fields in _FIELDS.items() if word in prompt)
    return [json.dumps({"reasoning": "Cold.", **fields})] * sampling.n


AS_JSON = Script(_as_json, scores=SCORED.scores)
CASES: Sequence[tuple[str, dict[str, Any], dict[str, Any], Script]] = [
    ("sample_rationales", {"n": 3}, COUNTERFACTUAL, SCORED),
    ("sample_rationales", {"n": 3, "label": "shown"}, QUESTION, SCORED),
    ("mask_topic_words", {"phrases": "engine"}, QUESTION, SCORED),
    ("fill_counterfactual", {}, MASKED, NAMED),
    ("self_consistency", {"samples": 3}, COUNTERFACTUAL, SCORED),
    ("self_consistency", {"samples": 3, "original": "required"}, COUNTERFACTUAL, SCORED),
    ("negative_view", {}, COUNTERFACTUAL, SCORED),
    ("flip_check", {}, COUNTERFACTUAL, SCORED),
    ("minimal_edit", {}, QUESTION, SCORED),
    ("soft_labels", {}, QUESTION, SCORED),
    ("token_probabilities", {}, WITH_RATIONALE, SCORED),
    ("sample_rationales", {"api": "chat", "n": 3}, COUNTERFACTUAL, SCORED),
    ("sample_rationales", {"api": "chat", "n": 3, "label": "shown"}, QUESTION, SCORED),
    ("mask_topic_words", {"api": "chat", "phrases": "engine"}, QUESTION, AS_JSON),
    ("fill_counterfactual", {"api": "chat", "form": "fills"}, MASKED, AS_JSON),
    ("self_consistency", {"api": "chat", "samples": 3}, COUNTERFACTUAL, SCORED),
    ("negative_view", {"api": "chat"}, COUNTERFACTUAL, AS_JSON),
    ("flip_check", {"api": "chat"}, COUNTERFACTUAL, SCORED),
    ("minimal_edit", {"api": "chat", "predict": {"api": "chat"}}, QUESTION, AS_JSON),
    ("token_probabilities", {"api": "chat"}, WITH_RATIONALE, SCORED),
    ("judge", {"api": "chat", "show": ["question"], "rubric": "good"}, QUESTION, SCORED),
    ("perturb_rationale", {"how": "shuffle"}, WITH_RATIONALE, SCORED),
    ("perturb_rationale", {"how": "mask", "fraction": 0.5}, WITH_RATIONALE, SCORED),
    ("perturb_rationale", {"how": "keep", "keep": "choices"}, WITH_RATIONALE, SCORED),
    ("perturb_rationale", {"how": "unknown", "count": 2}, QUESTION, SCORED),
    ("key_tokens", {"by": "gradients", "student": "s"}, WITH_RATIONALE, NAMED),
    ("key_tokens", {"by": "nearest", "embeddings": "e"}, WITH_RATIONALE, NAMED),
    ("key_tokens", {"by": "column", "words": "choices"}, WITH_RATIONALE, NAMED),
    ("generate", {"prompt": "{{ question }}", "into": "x", "n": 2}, QUESTION, SCORED),
    ("judge", {"show": ["question"], "rubric": "good"}, QUESTION, SCORED),
    ("check", {"column": "label", "how": ["option", "regex"], "pattern": "1"}, WITH_RATIONALE,
     SCORED),
    ("check", {"column": "rationale", "against": "question", "how": "model", "judge": "e"},
     WITH_RATIONALE, SCORED),
    ("read_answer", {"column": "said"}, {**QUESTION, "said": "Snow is cold."}, SCORED),
    ("filter", {"where": "answer == 1"}, QUESTION, SCORED),
    ("map", {"set": {"y": "question"}}, QUESTION, SCORED),
    ("explode", {"column": "parts", "into": "part"}, MASKED, SCORED),
    ("join_views", {}, COUNTERFACTUAL, SCORED),
    ("join_views", {"by": "view", "required": ["positive"], "per": "question"},
     {**COUNTERFACTUAL, "view": "counterfactual_positive"}, SCORED),
    ("deduplicate", {"on": ["question"]}, QUESTION, SCORED),
]  # fmt: skip
"""Every built-in op on a row that it can use, and on the same with another question."""
