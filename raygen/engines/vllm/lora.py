"""What vLLM must be told to run a LoRA adapter, read from the adapter's folder.

Imports no vLLM.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raygen.engines.base import EngineSetupError
from raygen.engines.models.resolution import ADAPTER, ADAPTER_WEIGHTS

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM makes room for."""


def lora_arguments(adapter: Path | None) -> dict[str, Any]:
    """Return engine arguments for an adapter, none without one.

    Raises EngineSetupError for an adapter that vLLM can't run.
    """
    if adapter is None:
        return {}
    settings: dict[str, Any] = json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))
    if settings.get("modules_to_save") or settings.get("trainable_token_indices"):
        raise EngineSetupError(
            f"the adapter {adapter} trains whole modules or new tokens, which vLLM can't add to a "
            "model; use backend: transformers"
        )
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
    """Return the names of the modules that the adapter has weights for, such as `q_proj`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(adapter / ADAPTER_WEIGHTS), framework="np") as weights:
            names = list(weights.keys())
    except (OSError, SafetensorError) as error:
        raise EngineSetupError(
            f"the adapter's weights can't be read ({error}); expected {adapter / ADAPTER_WEIGHTS}, "
            "as peft's save_pretrained writes it"
        ) from error
    return {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in names if ".lora_" in name}
