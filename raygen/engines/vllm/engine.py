"""vLLM as an engine, in this process's event loop: the only module that imports it.

Knows nothing of ops or rows. vLLM runs the model in processes of its own and logs to this process's
stderr.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, Self
from uuid import uuid4

from raygen.core import socket_folder
from raygen.engines.base import (
    PLAIN_SETTINGS,
    Completion,
    EngineDeadError,
    EngineError,
    EngineSetupError,
    EngineSpec,
    Prompt,
    Request,
    RequestRefusedError,
    Sampling,
    Score,
    TopTokens,
)
from raygen.engines.models.fingerprint import vocabulary_fingerprint
from raygen.engines.models.prompt_tokens import PromptTokenizer, TokenizedPrompt
from raygen.engines.models.resolution import resolve_model
from raygen.engines.repetition import COUNT, LONGEST
from raygen.engines.vllm.args import SAFE_FORMATS
from raygen.engines.vllm.derived_args import (
    adapted_modules,
    cpu_arguments,
    cpu_environment,
    lora_arguments,
)
from raygen.engines.vllm.thinking import (
    must_think,
    read_completion,
    starts_with_answer,
    thinking_arguments,
    thought_budget,
)

_ENV = {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_NO_USAGE_STATS": "1"}

# What vLLM, transformers and torch raise for a model or an argument that they can't take.
_LOAD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class VLLMEngine:
    """An AsyncLLM. All requests share its continuous batch and its prefix cache."""

    def __init__(self, spec: EngineSpec, llm: Any, adapter: Path | None) -> None:
        """Wrap a started AsyncLLM; `adapter` is the folder of its LoRA adapter, if it has one."""
        from vllm.lora.request import LoRARequest

        self._name = spec.name
        self._model = spec.model
        self._llm = llm
        self._adapter = LoRARequest("adapter", 1, str(adapter)) if adapter else None
        self._scores = adapter is None or "lm_head" not in adapted_modules(adapter)
        tokenizer = llm.get_tokenizer()
        self._tokens = PromptTokenizer.of(spec, tokenizer, llm.model_config.max_model_len)
        self._template: str | None = getattr(tokenizer, "chat_template", None)
        self._hides_channels = "<|channel|>" in tokenizer.get_vocab()
        reasoning = llm.vllm_config.reasoning_config
        self._has_budgets = reasoning is not None and reasoning.enabled
        self._ids = count()

    @classmethod
    async def start(cls, spec: EngineSpec, devices: Sequence[str] = ()) -> Self:
        """Load the model on the CUDA `devices`, or on all visible ones; blocks the event loop.

        Raises EngineSetupError for a model that can't be had or loaded and for wrong arguments.
        """
        try:
            model = resolve_model(spec.model, spec.revision)
            lora = lora_arguments(model.adapter)
        except EngineSetupError as error:
            raise EngineSetupError(f"engine {spec.name!r}: {error}") from error
        _set_environment({**_ENV, **_socket_environment()})
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.exceptions import VLLMError
        from vllm.v1.engine.async_llm import AsyncLLM

        arguments = {
            "model": model.model,
            "revision": model.revision,
            "load_format": SAFE_FORMATS[0],
            **_defaults(spec, model.config),
            **lora,
            **thinking_arguments(spec.model, spec.revision),
            **spec.args,
        }
        try:
            with _visible(devices):
                # In no variable: vLLM keeps exceptions, which keep this frame, and with it the
                # engine until the interpreter exits.
                return await cls(
                    spec, AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), model.adapter
                )._ready()
        except (*_LOAD_ERRORS, VLLMError) as error:
            raise EngineSetupError(_load_failure(spec, model.model, error)) from error

    async def generate(self, request: Request) -> list[Completion]:
        """Sample `n` completions by one request; the k-th is drawn with the seed plus k."""

        prompt = self._tokens.to_answer(request.prompt, request.sampling.thinking)
        thinks = prompt.is_open or must_think(request.sampling)
        # A stop inside a thought would end it: it is looked for in the answer alone.
        stops = request.sampling.stop if thinks else ()
        has_answer = starts_with_answer(request, prompt, self._template)
        params = self._params(request, prompt, stop=[] if thinks else list(request.sampling.stop))
        output = await self._run(prompt.ids, params, has_answer)
        outputs = sorted(output.outputs, key=lambda answer: int(answer.index))
        answers = [read_completion(each, self._tokens, prompt, stops) for each in outputs]
        if not must_think(request.sampling):
            return answers
        parts = zip(answers, outputs, strict=True)
        return list(
            await asyncio.gather(
                *(self._finish(request, prompt, each, list(o.token_ids)) for each, o in parts)
            )
        )

    def _params(self, request: Request, prompt: TokenizedPrompt, **more: Any) -> Any:
        """Make vLLM's sampling parameters. Raises RequestRefusedError for wrong values."""
        from vllm.exceptions import VLLMClientError
        from vllm.sampling_params import (
            RepetitionDetectionParams,
            RequestOutputKind,
            SamplingParams,
            StructuredOutputsParams,
        )

        sampling = request.sampling
        settings: dict[str, Any] = {
            "n": sampling.n,
            "max_tokens": sampling.most_tokens,
            "seed": sampling.seed,
        }
        settings |= _settings(sampling) | dict(sampling.extra or {})
        if must_think(sampling):
            settings.setdefault(
                "repetition_detection", {"max_pattern_size": LONGEST, "min_count": COUNT}
            )
            if self._has_budgets:
                settings["thinking_token_budget"] = thought_budget(self._tokens, prompt, sampling)
        if isinstance(detection := settings.get("repetition_detection"), Mapping):
            settings["repetition_detection"] = RepetitionDetectionParams(**detection)
        if self._hides_channels:
            settings.setdefault("skip_special_tokens", False)
        schema = None if request.schema is None else dict(request.schema)
        try:
            return SamplingParams(
                **{**settings, **more},
                logprobs=0,
                structured_outputs=None if schema is None else StructuredOutputsParams(json=schema),
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
        except (VLLMClientError, ValueError, TypeError) as error:
            raise RequestRefusedError("bad_request", _first_line(error)) from error

    async def _finish(
        self, request: Request, prompt: TokenizedPrompt, cut: Completion, written: list[int]
    ) -> Completion:
        """Answer after a thought that nothing closed, by a request that goes on from it."""
        tags, room = self._tokens.tags, self._tokens.max_len
        is_unclosed = cut.thinking is not None and cut.thinking_tokens == len(written)
        if tags is None or not is_unclosed or written[-1:] == self._tokens.encode(tags.closing):
            return cut
        thought = written[:-1] if cut.finish_reason == "stop" else written
        ids = [*prompt.ids, *thought, *self._tokens.encode(f"\n{tags.closing}\n\n")]
        if room is not None and len(ids) >= room:
            return cut
        sampling = replace(request.sampling, n=1, thinking=None)
        closed = TokenizedPrompt(ids, is_open=False)
        params = self._params(replace(request, sampling=sampling), closed, stop=list(sampling.stop))
        (output,) = (await self._run(ids, params, has_answer=True)).outputs
        answer = read_completion(output, self._tokens, closed, ())
        logprobs = (cut.logprob, answer.logprob)
        return replace(
            answer,
            prompt_tokens=cut.prompt_tokens,
            output_tokens=cut.output_tokens + answer.output_tokens,
            logprob=None if None in logprobs else sum(p for p in logprobs if p is not None),
            thinking=cut.thinking,
            thinking_tokens=cut.output_tokens,
        )

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Sum the log-probabilities of each candidate's tokens, tokenized after the prompt.

        A token that the candidate's start merges with the prompt's end counts with the candidate.
        """
        self._need_prompt_logprobs()
        tokenized = self._tokens.candidates(prompt, candidates)
        return list(await asyncio.gather(*(self._score(ids, start) for ids, start in tokenized)))

    async def top_tokens(self, prompt: Prompt, text: str, k: int) -> TopTokens:
        """Return the k most probable tokens at each position of a text that follows a prompt."""
        self._need_prompt_logprobs()
        limit = self._llm.model_config.max_logprobs
        if k > limit >= 0:
            raise EngineSetupError(
                f"engine {self._name!r}: top is {k}, and vLLM gives {limit} log-probabilities a "
                f"token; set top: {limit}, or args.max_logprobs: {k} in the engine's profile"
            )
        ids, start = self._tokens.prompt_and_text(prompt, text)
        positions = (await self._read(ids, k))[start:]
        # Besides the k best, each position has the text's own token, whatever its rank.
        best = [
            sorted(((e.rank, token, e.logprob) for token, e in position.items() if e.rank <= k))
            for position in positions
        ]
        return TopTokens(
            self._vocabulary,
            tuple(ids[start:]),
            tuple(tuple(token for _, token, _ in position) for position in best),
            tuple(tuple(logprob for _, _, logprob in position) for position in best),
            len(ids),
        )

    @cached_property
    def _vocabulary(self) -> str:
        return vocabulary_fingerprint(self._tokens.tokenizer)

    async def close(self) -> None:
        """Stop the engine's processes."""
        self._llm.shutdown()
        # AsyncLLM shuts down once more when it is collected, which fails at interpreter exit.
        self._llm = None

    async def _ready(self) -> Self:
        """Load the adapter, so that a bad one is reported before any row starts."""
        if self._adapter is not None:
            try:
                await self._llm.add_lora(self._adapter)
            except Exception as error:
                # vLLM has no class for it.
                await self.close()
                raise EngineSetupError(
                    f"engine {self._name!r}: vLLM can't use the adapter {self._model}: "
                    f"{_first_line(error)}"
                ) from error
        return self

    def _need_prompt_logprobs(self) -> None:
        if not self._scores:
            raise EngineSetupError(
                f"engine {self._name!r}: vLLM gives wrong log-probabilities of a prompt with an "
                f"adapter of lm_head, as {self._model} has; use backend: transformers"
            )

    async def _score(self, ids: list[int], start: int) -> Score:
        scored = zip((await self._read(ids, 0))[start:], ids[start:], strict=True)
        # vLLM gives None for the first token of a text, which follows nothing.
        logprobs = [entry[token].logprob for entry, token in scored if entry is not None]
        return Score(float(sum(logprobs)), len(logprobs), len(ids))

    async def _read(self, ids: list[int], k: int) -> list[Any]:
        """Return for each token the log-probabilities of itself and of the k best, by token id."""
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            prompt_logprobs=k,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return list((await self._run(ids, params)).prompt_logprobs)

    async def _run(self, ids: list[int], params: Any, has_answer: bool | None = None) -> Any:
        """Return the final output of one request. Raises engine errors in place of vLLM's.

        `has_answer`: a grammar holds from the first token on; without a grammar it is no matter.
        """
        from vllm import exceptions
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError as CoreDeadError

        final = None
        try:
            async for output in self._llm.generate(
                tokens_input(ids),
                params,
                f"{self._name}-{next(self._ids)}",
                lora_request=self._adapter,
                reasoning_ended=has_answer if params.structured_outputs is not None else None,
            ):
                final = output
        except CoreDeadError as error:
            raise self._dead() from error
        except (exceptions.VLLMClientError, ValueError, TypeError) as error:
            self._refuse("bad_request", error)
        except exceptions.VLLMServerError as error:
            self._refuse("bad_response", error)
        if final is None:
            raise self._dead()
        return final

    def _refuse(self, reason: str, error: Exception) -> NoReturn:
        if self._llm.errored:
            raise self._dead() from error
        raise RequestRefusedError(reason, _first_line(error.__cause__ or error)) from error

    def _dead(self) -> EngineError:
        return EngineDeadError(
            f"engine {self._name!r}: vLLM's process for {self._model} died; its log says why"
        )


def _settings(sampling: Sampling) -> dict[str, Any]:
    """Return the settings that vLLM has under the same names, without those left to it."""
    values = {name: getattr(sampling, name) for name in (*PLAIN_SETTINGS, "logit_bias")}
    return {name: value for name, value in values.items() if value is not None}


def _socket_environment() -> dict[str, str]:
    """Say where vLLM's processes meet: where nobody else may look, and a socket's name fits."""
    folder = socket_folder(tempfile.gettempdir(), str(uuid4()))
    return {} if folder is None else {"VLLM_RPC_BASE_PATH": folder}


def _set_environment(values: dict[str, str]) -> None:
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def _visible(devices: Sequence[str]) -> Iterator[None]:
    """Show only `devices` to processes that start while the context lasts."""
    if not devices:
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _defaults(spec: EngineSpec, config: Path) -> dict[str, Any]:
    """Return engine arguments that a profile may override, for GPUs or for a CPU."""
    from vllm.platforms import current_platform

    common = {"disable_log_stats": True}
    if not current_platform.is_cpu():
        return {**common, "tensor_parallel_size": max(1, spec.gpus)}
    if spec.gpus:
        raise EngineSetupError(
            f"engine {spec.name!r} asks for {spec.gpus} GPUs, and vLLM sees none here; "
            "set gpus: 0, or install the GPU build (`pip install -e '.[gpu]'`) on a GPU machine"
        )
    _set_environment(cpu_environment())
    return {**common, **cpu_arguments(config)}


def _load_failure(spec: EngineSpec, path: str, error: Exception) -> str:
    where = spec.model if path == spec.model else f"{spec.model} ({path})"
    why = _first_line(error)
    message = f"engine {spec.name!r}: vLLM can't load the model {where}: {why}"
    if "memory" in str(error).lower():
        return f"{message}; lower args.max_model_len, or give it more gpus or a smaller model"
    return f"{message}; check the model and the engine's args, the log above has the details"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])[:400]}" if lines else repr(error)
