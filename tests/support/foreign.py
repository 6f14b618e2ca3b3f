"""Small random models of other projects, and checkpoints of them"""

import shutil
from pathlib import Path

import lightning
import torch
import torchaudio
import yaml
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
    return ready(
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
    return ready(model)


def ready(model: Model) -> Model:
    """Set specifications, and draw weights with which all classes are found in noise"""
    model.specifications = powerset_specifications(2.0, 3, 2)
    model.setup()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.add_(0.05 * torch.randn_like(parameter))
            elif not name.endswith("norm.weight"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.eval()
        found = []
        handle = model.classifier.register_forward_hook(lambda *args: found.append(args[2]))
        model(0.1 * torch.randn(1, 1, 32000))
        handle.remove()
        logits = found[0].flatten(0, 1)
        scale = 3 / logits.std(dim=0).mean()
        model.classifier.weight *= scale
        model.classifier.bias.copy_(scale * (model.classifier.bias - logits.mean(dim=0)))
    return model


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


def write_suplime(model: Model, embedding: Path, folder: Path) -> Path:
    """Write a repository of SUPlime, with another speaker embedding"""
    write_checkpoint(model, folder / "segmentation" / "pytorch_model.bin")
    shutil.copytree(embedding, folder / "embedding")
    config = {
        "dependencies": {"pyannote.audio": "4.0.7", "suplime": "0.2.0"},
        "pipeline": {
            "name": "suplime.SuplimeDiarization",
            "params": {
                "segmentation": "$model/segmentation",
                "embedding": "$model/embedding",
                "clustering": "AgglomerativeClustering",
                "embedding_exclude_overlap": True,
            },
        },
        "params": {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.72},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder
