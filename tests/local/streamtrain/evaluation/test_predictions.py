"""What students write and find likely, in batches, against its definition: token after token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.student import StudentConfig
from streamtrain.data.tokenization import ExampleTokenizer, make_example_tokenizer
from streamtrain.evaluation.predictions import (
    inference_mode,
    label_branch,
    predict,
    prompt_format,
    write_texts,
)
from streamtrain.heldout.questions import Question
from streamtrain.models.student import Student, load_student, model_source

CPU = torch.device("cpu")
LONGEST = 16
CAUSAL = ("gemma", "gpt2", "gpt_neo", "llama", "opt", "phi", "qwen2")
SEQ2SEQ = ("bart", "t5")
INPUTS = [
    "Where would you keep milk?",
    "Why?",
    "A question has five choices: A, B, C, D and E. Which of them is the answer, and why is it so?",
    "What do people use to cut paper",
    "So the answer is (B). " * 6,
]
QUESTIONS = [
    Question("Where would you keep milk?", ("fridge", "a very hot oven", "A"), 0),
    Question("What cuts paper? " * 5, ("scissors", "air", "light of the blue sky", "no"), 0),
    Question("Why?", ("yes", "because it is so"), 1),
]

pytestmark = pytest.mark.usefixtures("one_thread")


def family(kind: str, folder: Path, tiny_model: Path) -> Path:
    """A folder with a random model of one of the families, and the tiny tokenizer."""
    from transformers import AutoConfig, AutoTokenizer, PreTrainedModel
    from transformers import AutoModelForCausalLM as Causal
    from transformers import AutoModelForSeq2SeqLM as Seq2Seq

    sizes: dict[str, Any] = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    # Far from zero, so that what is likely hangs on all that was read.
    sizes["initializer_range"] = 0.5
    if kind == "gpt_neo":
        sizes |= {
            "num_layers": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 4,
        }
        sizes |= {"num_heads": 2}
        del sizes["num_hidden_layers"], sizes["num_attention_heads"]
    elif kind == "opt":
        sizes |= {"ffn_dim": 64, "word_embed_proj_dim": 32, "init_std": 0.5}
    elif kind == "t5":
        sizes = {"vocab_size": 400, "d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2}
        sizes |= {"num_heads": 2, "decoder_start_token_id": 2, "initializer_factor": 3.0}
        sizes |= {"eos_token_id": 1, "pad_token_id": 2}
    elif kind == "bart":
        sizes = {"vocab_size": 400, "d_model": 32, "init_std": 0.5, "decoder_start_token_id": 1}
        for side in ("encoder", "decoder"):
            sizes |= {f"{side}_layers": 2, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 64}
        sizes |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    elif kind != "gpt2":
        heads = 2 if kind == "phi" else 1
        sizes |= {"intermediate_size": 64, "num_key_value_heads": heads, "head_dim": 16}
    torch.manual_seed(0)
    auto = Seq2Seq if kind in SEQ2SEQ else Causal
    model: PreTrainedModel = auto.from_config(AutoConfig.for_model(kind, **sizes))
    model.save_pretrained(folder / kind)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder / kind)
    return folder / kind


def student_of(
    kind: str, method: str, folder: Path, tiny_model: Path, **data: Any
) -> tuple[Student, ExampleTokenizer, StudentConfig]:
    """A student whose adapter, if it has one, changes what it says; it ends after a third token."""
    settings = StudentConfig.model_validate(
        {
            "student": "s",
            "version": 1,
            "model": str(family(kind, folder, tiny_model)),
            "kind": "seq2seq" if kind in SEQ2SEQ else "causal",
            "tune": {"method": method},
            "data": {"max_target": LONGEST, **data},
        }
    )
    student = load_student(model_source(settings), settings.tune, CPU)
    torch.manual_seed(1)
    for name, weights in student.model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weights, std=0.2)
    student.model.eval()
    return student, make_example_tokenizer(settings, student.tokenizer), settings


def start_of(student: Student) -> int:
    """The token that a decoder starts from."""
    return int(student.model.config.decoder_start_token_id)


def next_logits(student: Student, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """The logits of what follows an answer's tokens so far: everything is read anew, alone."""
    with torch.inference_mode():
        if student.kind == "seq2seq":
            begun = [start_of(student), *answer]
            output = student.model(
                input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([begun])
            )
        else:
            output = student.model(torch.tensor([[*prompt, *answer]]))
    logits: torch.Tensor = output.logits[0, -1].float()
    return logits


def written(
    student: Student, prompt: list[int], until: Callable[[str], bool] | None = None
) -> list[int]:
    """The tokens of an answer by its definition."""
    ends = set(student.model.generation_config.eos_token_id)
    answer: list[int] = []
    while len(answer) < LONGEST:
        token = int(next_logits(student, prompt, answer).argmax())
        answer.append(token)
        # A decoder's answer begins with the token that it starts from.
        start = [start_of(student)] if student.kind == "seq2seq" else []
        if token in ends or (until and until(student.tokenizer.decode([*start, *answer]))):
            break
    return answer


def text_of(student: Student, tokens: list[int]) -> str:
    text: str = student.tokenizer.decode(tokens, skip_special_tokens=True)
    return text


ADAPTERS = [("llama", "lora"), ("t5", "lora")]
CASES = [(kind, "full") for kind in (*CAUSAL, *SEQ2SEQ)] + ADAPTERS


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_text_is_the_likeliest_token_after_token(
    tiny_model: Path, tmp_path: Path, kind: str, method: str
) -> None:
    student, tokenizer, _ = student_of(kind, method, tmp_path, tiny_model)
    prompts = [tokenizer.prompt(text)[0] for text in INPUTS]
    # What the first text has third ends every text from now on, wherever they have it.
    end = written(student, prompts[0])[2]
    student.model.generation_config.eos_token_id = [1, end]
    answers = [written(student, prompt) for prompt in prompts]
    assert len({len(answer) for answer in answers}) > 1
    expected = [text_of(student, answer) for answer in answers]
    assert any(expected)
    with inference_mode(student):
        assert write_texts(student, tokenizer, INPUTS) == expected


@pytest.mark.parametrize(("kind", "method"), ADAPTERS)
def test_a_text_ends_once_its_condition_holds(
    tiny_model: Path, tmp_path: Path, kind: str, method: str
) -> None:
    student, tokenizer, _ = student_of(kind, method, tmp_path, tiny_model)
    prompts = [tokenizer.prompt(text)[0] for text in INPUTS]

    def until(text: str) -> bool:
        return sum(map(ord, text)) % 5 == 4

    answers = [written(student, prompt, until) for prompt in prompts]
    assert len({len(answer) for answer in answers}) > 1
    with inference_mode(student):
        found = write_texts(student, tokenizer, INPUTS, until)
    assert found == [text_of(student, answer) for answer in answers]


@pytest.mark.parametrize(
    ("kind", "method", "rationale"),
    [(*case, "after") for case in CASES] + [(*case, "before") for case in ADAPTERS],
)
def test_options_are_as_likely_as_their_tokens_one_after_the_other(
    tiny_model: Path, tmp_path: Path, kind: str, method: str, rationale: str
) -> None:
    """After the input and, where a rationale comes first, the student's own."""
    data = {"label": "text", "rationale": rationale}
    student, tokenizer, settings = student_of(kind, method, tmp_path, tiny_model, **data)
    how = prompt_format(settings.data, "scored")
    found = predict(student, tokenizer, QUESTIONS, how)
    for question, prediction in zip(QUESTIONS, found, strict=True):
        assert (prediction.text is not None) == (rationale == "before")
        input_ids, begun, options = label_branch(tokenizer, question, prediction.text, how)
        means = []
        for option in options:
            total, before = 0.0, list(begun)
            for token in option:
                logits = next_logits(student, list(input_ids), before)
                total += float(torch.log_softmax(logits, dim=-1)[token])
                before.append(token)
            means.append(total / len(option))
        expected = torch.tensor(means).softmax(dim=-1).tolist()
        assert prediction.probabilities == pytest.approx(expected, rel=1e-3, abs=1e-6)
        assert prediction.choice == max(range(len(means)), key=means.__getitem__)
