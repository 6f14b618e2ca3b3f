"""Speaker embeddings with random weights"""

from pathlib import Path

import lightning
import torch
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import WeSpeakerResNet34
from pyannote.audio.models.embedding.wespeaker import resnet


def random_wespeaker(seed: int = 0) -> WeSpeakerResNet34:
    """WeSpeaker ResNet34 whose normalizations do something"""
    torch.manual_seed(seed)
    return _with_statistics(WeSpeakerResNet34())


def small_wespeaker(seed: int = 0, block: str = "BasicBlock") -> WeSpeakerResNet34:
    """The same with a ResNet of a few channels, which no checkpoint can hold"""
    torch.manual_seed(seed)
    model = WeSpeakerResNet34()
    kind = getattr(resnet, block)
    model.resnet = resnet.ResNet(kind, [1, 2, 1, 1], 4, 80, 16, two_emb_layer=False)
    return _with_statistics(model)


def _with_statistics(model: WeSpeakerResNet34) -> WeSpeakerResNet34:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            for tensor in (module.running_var, module.weight):
                torch.nn.init.uniform_(tensor, 0.5, 2.0)
    return model.eval()


def save_embedding_checkpoint(model: Model, folder: Path) -> None:
    """Write the checkpoint of an embedding, in the folder of a pipeline"""
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=2.0
    )
    content = {
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(content)
    folder.mkdir(parents=True)
    torch.save(content, folder / "pytorch_model.bin")
