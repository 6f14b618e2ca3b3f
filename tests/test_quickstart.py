import pytest
import torch
from pyannote.audio import Model
from typer.testing import CliRunner

from pyannote_prune import __main__ as cli
from pyannote_prune.quickstart import quickstart, score


def test_quickstart_trains_what_it_writes(tmp_path):
    model, before, after = quickstart(tmp_path, max_steps=12)
    assert after.diarization_error_rate < before.diarization_error_rate
    waveforms = torch.randn(1, 1, 16000)
    saved = Model.from_pretrained(tmp_path / "model.ckpt").eval()
    assert torch.equal(saved(waveforms), model.eval()(waveforms))
    again = score(tmp_path / "pipeline")
    assert again.diarization_error_rate == after.diarization_error_rate

    with pytest.raises(ValueError, match="`folder` must not exist, or be empty"):
        quickstart(tmp_path, max_steps=1)


def test_command_prints_a_table_and_what_it_means(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "run_quickstart", lambda output: quickstart(output, max_steps=2))
    result = CliRunner().invoke(cli.app, ["quickstart", "--output", str(tmp_path / "folder")])
    assert result.exit_code == 0, result.output
    assert "fine-tuned" in result.output
    assert "nothing about accuracy" in " ".join(result.output.split())
    assert (tmp_path / "folder" / "pipeline" / "config.yaml").is_file()
