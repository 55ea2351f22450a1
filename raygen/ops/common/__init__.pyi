from .sampling import SamplingParams as SamplingParams
