"""Real voices where they are at hand, harmonic sounds otherwise"""

import pytest
from voices import FSDD, generate_voices


@pytest.fixture(scope="session")
def generated_voices(tmp_path_factory):
    return generate_voices(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="session")
def voices(generated_voices):
    return FSDD if FSDD.is_dir() else generated_voices
