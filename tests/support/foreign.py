"""Small random models of other projects, and checkpoints of them"""

from pathlib import Path

import lightning
import torch
import torchaudio
from pyannote.audio import Model
from pyannote.audio.models.segmentation import SSeRiouSS

from pyannote_prune.segmentation.specifications import powerset_specifications


def wavlm_arguments(large: bool = False, **changes) -> dict:
    """Arguments of `torchaudio.models.wavlm_model`, for a small encoder of either norm"""
    bundle = torchaudio.pipelines.WAVLM_LARGE if large else torchaudio.pipelines.WAVLM_BASE_PLUS
    small = {
        "extractor_conv_layer_config": [(16, 10, 5), (16, 3, 2), (16, 8, 4), (16, 8, 8)],
        "encoder_embed_dim": 32,
        "encoder_num_layers": 3,
        "encoder_num_heads": 4,
        "encoder_ff_interm_features": 48,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 4,
        "encoder_num_buckets": 32,
        "encoder_max_distance": 40,
    }
    return bundle._params | small | changes


def make_suplime(large: bool = False, wavlm: dict | None = None, **options) -> Model:
    """Model of SUPlime, with windows of 2 s"""
    from suplime.models.segmentation import SuplimeSegmentation

    small = {"conformer": {"num_heads": 4, "ffn_dim": 40, "num_layers": 2}}
    return _ready(
        SuplimeSegmentation(
            wav2vec=wavlm or wavlm_arguments(large), normalize_waveform=large, **small | options
        )
    )


def make_sseriouss(monkeypatch, wavlm: dict | None = None, **options) -> Model:
    """`SSeRiouSS` of pyannote.audio, with windows of 2 s

    From a dictionary, it makes an encoder of wav2vec 2.0, which has no arguments of WavLM.
    """
    with monkeypatch.context() as context:
        context.setattr(torchaudio.models, "wav2vec2_model", torchaudio.models.wavlm_model)
        model = SSeRiouSS(wav2vec=wavlm or wavlm_arguments(), **options)
    return _ready(model)


def _ready(model: Model) -> Model:
    """Set specifications, and draw weights that make confident scores"""
    model.specifications = powerset_specifications(2.0, 3, 2)
    model.setup()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.add_(0.05 * torch.randn_like(parameter))
            elif not name.endswith("norm.weight"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.classifier.weight *= 10
    return model.eval()


def write_checkpoint(model: Model, path: Path, **more) -> Path:
    """Write a checkpoint as Lightning and pyannote.audio do"""
    content = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        **more,
    }
    model.on_save_checkpoint(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path
