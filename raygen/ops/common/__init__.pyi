from .request_params import SamplingParams as SamplingParams
