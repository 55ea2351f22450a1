from .request_params import SamplingParams as SamplingParams
from .sampling_settings import EngineSampling as EngineSampling
from .sampling_settings import ThinkingSettings as ThinkingSettings
