"""A repository in the layout of DiariZen, for where ../shared is absent"""

from helpers import TINY

from pyannote_prune import WavLMConfig, WavLMSegmentation
from pyannote_prune.segmentation.specifications import powerset_specifications


def random_model() -> WavLMSegmentation:
    """Small model in the style of released ones"""
    return with_head(WavLMConfig.dense(num_layers=4, neurons=40, channels=12, **TINY))


def pruned_model(case: str) -> WavLMSegmentation:
    """Same head on a published structure"""
    return with_head(WavLMConfig.preset(case.replace("_", "-")))


def with_head(config: WavLMConfig) -> WavLMSegmentation:
    conformer = {"input_dim": 32, "ffn_dim": 64, "num_layers": 2, "depthwise_conv_kernel_size": 7}
    model = WavLMSegmentation(wavlm=config, conformer=conformer)
    model.specifications = powerset_specifications(16.0, 4, 2)
    model.setup()
    return model.eval()
