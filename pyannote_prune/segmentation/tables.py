"""Tables about a model"""

from __future__ import annotations

from pyannote.audio.core.task import Specifications
from rich.table import Table

from ..wavlm.config import WavLMConfig
from ..wavlm.cost import Cost, cost, cost_per_part
from .conformer import ConformerLayerConfig, layer_configs
from .cost import head_cost_per_part, model_cost
from .model import WavLMSegmentation
from .specifications import class_names, single_specifications


def structure_table(config: WavLMConfig, title: str | None = None) -> Table:
    """Make a table of the structure and cost of an encoder, part by part

    Parameters
    ----------
    config : WavLMConfig
    title : str, optional

    Returns
    -------
    table : rich.table.Table
        One row per part, with parameters and multiply-accumulate operations per second of audio.
    """
    table = Table(title=title, show_footer=True)
    total = cost(config)
    table.add_column("Part", footer="WavLM")
    table.add_column("Left")
    table.add_column("Parameters", justify="right", footer=f"{total.parameters:,}")
    table.add_column("MACs / s", justify="right", footer=_millions(total.macs_per_second))
    for part, left, value in structure_rows(config):
        table.add_row(part, left, f"{value.parameters:,}", _millions(value.macs_per_second))
    return table


def structure_rows(config: WavLMConfig) -> list[tuple[str, str, Cost]]:
    """List parts of an encoder: name, what is left of it, cost"""
    left = {
        "extractor": " ".join(str(c.channels) for c in config.convolutions) + " channels",
        "projection": f"{config.convolutions[-1].channels} to {config.embed_dim}",
        "position": f"kernel {config.position_kernel}, {config.position_groups} groups",
    }
    left |= {f"layers.{i}": _layer(config, i) for i in range(config.num_layers)}
    return [(part, left[part], value) for part, value in cost_per_part(config).items()]


def head_table(model: WavLMSegmentation, title: str | None = None) -> Table:
    """Make a table of the structure and cost of a head, part by part

    Parameters
    ----------
    model : WavLMSegmentation
    title : str, optional

    Returns
    -------
    table : rich.table.Table
        One row per part. The last line is about the whole model, WavLM included.
    """
    table, total = Table(title=title, show_footer=True), model_cost(model)
    table.add_column("Part of the head", footer="Whole model")
    table.add_column("Left")
    table.add_column("Parameters", justify="right", footer=f"{total.parameters:,}")
    table.add_column("MACs / s", justify="right", footer=_millions(total.macs_per_second))
    left = {}
    if model.head.lstm is None:
        layers = layer_configs(model.head.conformer)
        left = {
            f"conformer.{i}": _conformer_layer(layer, model.head.conformer["num_heads"])
            for i, layer in enumerate(layers)
        }
    for part, value in head_cost_per_part(model).items():
        macs = _millions(value.macs_per_second)
        table.add_row(part, left.get(part, ""), f"{value.parameters:,}", macs)
    return table


def specifications_lines(model: WavLMSegmentation) -> list[str]:
    """Window, classes and size of a model, one line each"""
    specifications = single_specifications(model)
    encoder = cost(model.wavlm)
    total = sum(parameter.numel() for parameter in model.parameters())
    return [
        f"Head: {model.head.summary}",
        f"Window: {specifications.duration:g} s",
        f"Classes: {describe_classes(specifications)}",
        f"Parameters: {total:,} ({total - encoder.parameters:,} of them outside WavLM)",
    ]


def describe_classes(specifications: Specifications) -> str:
    """Describe the classes of a model in a few words"""
    names = class_names(specifications)
    if not specifications.powerset:
        return f"{len(names)} classes: {', '.join(names)}"
    return (
        f"{specifications.num_powerset_classes} powerset classes of at most "
        f"{specifications.powerset_max_classes} out of {len(names)} speakers"
    )


def _layer(config: WavLMConfig, index: int) -> str:
    layer = config.layers[index]
    heads = ", ".join(map(str, layer.heads))
    attention = (
        f"{len(layer.heads)}/{config.num_heads} heads ({heads})" if heads else "no attention"
    )
    neurons = f"{layer.neurons} neurons" if layer.neurons else "no feed-forward"
    return f"{attention}, {neurons}"


def _conformer_layer(layer: ConformerLayerConfig, num_heads: int) -> str:
    neurons = " and ".join(str(n) for n in (layer.first_neurons, layer.second_neurons))
    heads = f"{layer.heads}/{num_heads} heads" if layer.heads else "no attention"
    channels = f"{layer.channels} channels" if layer.channels else "no convolution"
    return f"{heads}, {channels}, {neurons} neurons"


def _millions(value: float) -> str:
    return f"{value / 1e6:,.1f} M"
