"""Models released by DiariZen

A released repository holds `config.toml` and `pytorch_model.bin`, the plain state dict of the whole
model. Training also writes WavLM files, `{"config": ..., "state_dict": ...}`. Both are third-party
files: they are read as data, and never executed.
"""

from .load import load_diarizen
from .settings import find_plda, load_settings
from .stand_in import write_stand_in

__all__ = ["find_plda", "load_diarizen", "load_settings", "write_stand_in"]
