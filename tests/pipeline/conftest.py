"""Pipelines, exported once"""

import pytest

from pyannote_prune import DiarizationSettings, export_pipeline
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS


@pytest.fixture(scope="session")
def exported(checkpoint, parts, tmp_path_factory):
    """Pipeline that hears several speakers in anything"""
    settings = DiarizationSettings(segmentation_step=0.5)
    return export_pipeline(checkpoint, tmp_path_factory.mktemp("exported") / "it", parts, settings)


@pytest.fixture(scope="session")
def oracle(checkpoint, tmp_path_factory):
    """Pipeline with oracle clustering"""
    folder = tmp_path_factory.mktemp("oracle") / "it"
    return export_pipeline(checkpoint, folder, settings=ORACLE_SETTINGS)
