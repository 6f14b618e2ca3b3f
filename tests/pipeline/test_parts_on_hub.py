import pytest

from pyannote_prune import export_pipeline
from pyannote_prune.pipeline.load import load_pipeline
from pyannote_prune.pipeline.parts_on_hub import advise_on_parts


def test_pipeline_whose_parts_cannot_be_downloaded_says_how_to_get_them(checkpoint, tmp_path):
    folder = export_pipeline(checkpoint, tmp_path / "it", "nobody/nothing")
    with pytest.raises(ValueError, match=r"parts from nobody/nothing, .* with --parts FOLDER"):
        load_pipeline(str(folder), "cpu")


def test_complete_and_other_folders_need_no_advice(exported, tmp_path):
    for folder in (exported, tmp_path, tmp_path / "nowhere"):
        assert advise_on_parts(folder) == ""
    (tmp_path / "config.yaml").write_text("- [", encoding="utf-8")
    assert advise_on_parts(tmp_path) == ""
