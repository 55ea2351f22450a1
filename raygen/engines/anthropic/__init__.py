"""Anthropic's Messages API as an engine, by the official SDK.

Only the registry of engines uses `AnthropicEngine`. It knows requests, replies and errors in that
form, and nothing of local models or of when to slow down.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
