from .engine import AnthropicEngine as AnthropicEngine
