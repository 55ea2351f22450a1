"""vLLM's engine arguments that follow from the machine or the model: on a CPU, with an adapter.

Those for a CPU are defaults that a profile may override, measured on two cores. Imports no vLLM.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from raygen.core import DamagedFileError, read_json_object
from raygen.engines.base import EngineSetupError
from raygen.engines.models.adapter import ADAPTER, ADAPTER_WEIGHTS, check_patterns

_GIB = 2**30
_CONTEXT = 4096


def cpu_environment() -> dict[str, str]:
    """Return environment variables to set unless the user has set them."""
    return {
        # vLLM takes one thread where this is not said.
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # With vLLM's own multiprocessing it would replace the executor "uni" by a second process,
        # which spins while it waits.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": str(_cache_gib()),
    }


def cpu_arguments(config: Path) -> dict[str, Any]:
    """Return engine arguments for a CPU and the model with this `config.json`."""
    return {
        "dtype": "auto" if _has_amx() else "float32",
        "enforce_eager": True,
        # Prompts shorter than a block share no prefix; the default here is 128.
        "block_size": 32,
        "distributed_executor_backend": "uni",
        # A seeded request whose prompt is read in two steps kills vLLM 0.32 on a CPU: it turns
        # the generator back for the first step, which CPU generators can't.
        "enable_chunked_prefill": False,
        "max_model_len": _context(config),
    }


def _context(config: Path) -> int | None:
    """Return how many tokens prompt and answer may have: the model's limit, at most 4,096.

    Without chunks vLLM reserves for a prompt of that length. None leaves it to vLLM.
    """
    settings: Any = _settings(config)
    known = settings.get("max_position_embeddings") or settings.get("text_config", {}).get(
        "max_position_embeddings"
    )
    return min(known, _CONTEXT) if isinstance(known, int) else None


def _settings(file: Path) -> dict[str, Any]:
    try:
        return read_json_object(file, "the settings of a model; fetch it again")
    except (OSError, DamagedFileError) as error:
        raise EngineSetupError(str(error)) from error


def _cache_gib() -> int:
    """Return the size of the KV cache in GiB: an eighth of the memory, between 1 and 4."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(4, max(1, memory // (8 * _GIB)))


def _has_amx() -> bool:
    """Tell whether this CPU multiplies bfloat16 in tiles; without, float32 is faster."""
    cpus = Path("/proc/cpuinfo")
    return cpus.is_file() and "amx_bf16" in cpus.read_text(encoding="utf-8")


_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM makes room for."""


def lora_arguments(adapter: Path | None) -> dict[str, Any]:
    """Return engine arguments for an adapter; none without one.

    Raises EngineSetupError for an adapter that vLLM can't run.
    """
    if adapter is None:
        return {}
    settings = _settings(adapter / ADAPTER)
    if settings.get("modules_to_save") or settings.get("trainable_token_indices"):
        raise EngineSetupError(
            f"the adapter {adapter} trains whole modules or new tokens, which vLLM can't add to a "
            "model; use backend: transformers"
        )
    # vLLM matches the keys of `rank_pattern` and `alpha_pattern` with these.
    modules = sorted(_adapted_paths(adapter))
    check_patterns(adapter, [name.removeprefix("base_model.model.") for name in modules])
    rank = int(settings.get("r", 0))
    arguments: dict[str, Any] = {
        "enable_lora": True,
        "max_loras": 1,
        "max_lora_rank": next((each for each in _RANKS if each >= rank), rank),
        # Without this vLLM adapts the head too, and then dies of prompt log-probabilities.
        "lora_target_modules": sorted(adapted_modules(adapter)),
    }
    if (adapter / "tokenizer_config.json").is_file():
        arguments["tokenizer"] = str(adapter)
    return arguments


def adapted_modules(adapter: Path) -> set[str]:
    """Return the names of the modules that the adapter has weights for, such as `q_proj`.

    Raises EngineSetupError if its weights can't be read.
    """
    return {name.rsplit(".", 1)[-1] for name in _adapted_paths(adapter)}


def _adapted_paths(adapter: Path) -> set[str]:
    """Return the full names of the modules that the adapter has weights for."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(adapter / ADAPTER_WEIGHTS), framework="np") as weights:
            names = list(weights.keys())
    except (OSError, SafetensorError) as error:
        raise EngineSetupError(
            f"the adapter's weights can't be read ({error}); expected {adapter / ADAPTER_WEIGHTS}, "
            "as peft's save_pretrained writes it"
        ) from error
    return {name.split(".lora_")[0] for name in names if ".lora_" in name}
