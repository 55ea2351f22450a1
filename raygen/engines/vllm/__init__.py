"""vLLM as an engine, in this process's event loop.

Only the registry of engines uses `VLLMEngine`; `args` and `cpu` say what vLLM takes and what it is
given on a CPU. `engine` is the only module that imports vLLM.
"""
