"""How vLLM runs well on a CPU: what it is given unless a profile says otherwise.

Measured on two cores. Imports no vLLM.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_GIB = 2**30
_CONTEXT = 4096


def cpu_environment() -> dict[str, str]:
    """Return environment variables that are set where the user has not set them."""
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
    """Return engine arguments, for the model with this `config.json`."""
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
    """Return tokens of prompt and answer: what the model takes, and no more than 4,096.

    Without chunks vLLM reserves for a whole prompt of that length. None leaves it to vLLM.
    """
    settings: Any = json.loads(config.read_text(encoding="utf-8"))
    known = settings.get("max_position_embeddings") or settings.get("text_config", {}).get(
        "max_position_embeddings"
    )
    return min(known, _CONTEXT) if isinstance(known, int) else None


def _cache_gib() -> int:
    """Return GiB for the KV cache: an eighth of the memory, between 1 and 4."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(4, max(1, memory // (8 * _GIB)))


def _has_amx() -> bool:
    """Tell whether this CPU multiplies bfloat16 in tiles; without, float32 is faster."""
    cpus = Path("/proc/cpuinfo")
    return cpus.is_file() and "amx_bf16" in cpus.read_text(encoding="utf-8")
