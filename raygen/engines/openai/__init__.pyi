from .engine import OpenAIEngine as OpenAIEngine
