from .tuned_lens import TuningOptions as TuningOptions
from .view import LensOptions as LensOptions
from .view import apply_lens as apply_lens
