"""Random encoder structures and specifications, for hypothesis"""

from hypothesis import strategies as st
from pyannote.audio.core.task import Problem, Resolution, Specifications

from pyannote_prune import WavLMConfig
from pyannote_prune.segmentation.head import MIXTURES, Head, LinearOptions, LSTMOptions
from pyannote_prune.segmentation.specifications import PROBLEMS
from pyannote_prune.segmentation.units import HEAD_UNITS
from pyannote_prune.wavlm.config import ConvolutionConfig, LayerConfig
from pyannote_prune.wavlm.presets import GEOMETRY, convolutions


@st.composite
def layers(draw, num_heads: int) -> LayerConfig:
    heads = draw(st.sets(st.integers(0, num_heads - 1)))
    return LayerConfig(tuple(sorted(heads)), draw(st.integers(0, 9)))


@st.composite
def configs(draw) -> WavLMConfig:
    """Any pruned structure of a small encoder, in any style"""
    num_heads = draw(st.sampled_from([1, 2, 4]))
    num_convolutions = len(GEOMETRY)
    channels = draw(
        st.lists(st.integers(1, 9), min_size=num_convolutions, max_size=num_convolutions)
    )
    return WavLMConfig(
        convolutions=tuple(ConvolutionConfig(**c) for c in convolutions(channels)),
        layers=tuple(draw(st.lists(layers(num_heads), min_size=1, max_size=3))),
        embed_dim=8 * num_heads,
        num_heads=num_heads,
        conv_norm=draw(st.sampled_from(["group", "layer"])),
        conv_bias=draw(st.booleans()),
        norm_first=draw(st.booleans()),
        normalize_waveform=draw(st.booleans()),
        position_kernel=draw(st.integers(1, 9)),
        position_groups=draw(st.sampled_from([1, 2, 4, 8])),
        num_buckets=16,
        max_distance=20,
    )


@st.composite
def conformers(draw, input_dim: int = 8, pruned: bool | None = None) -> dict:
    """Arguments of any small Conformer, dense or pruned"""
    options = {
        "input_dim": input_dim,
        "num_heads": draw(st.sampled_from([1, 2, 4])),
        "ffn_dim": draw(st.integers(1, 20)),
        "num_layers": draw(st.integers(1, 2)),
        "depthwise_conv_kernel_size": draw(st.sampled_from([1, 3, 7])),
        "convolution_first": draw(st.booleans()),
        "use_group_norm": draw(st.booleans()),
    }
    if draw(st.booleans()) if pruned is None else pruned:
        num_layers = options["num_layers"]
        sizes = {
            "first_neurons": st.integers(0, options["ffn_dim"]),
            "heads": st.integers(0, options["num_heads"]),
            "channels": st.integers(0, input_dim),
            "second_neurons": st.integers(0, options["ffn_dim"]),
        }
        layers = st.lists(st.fixed_dictionaries(sizes), min_size=num_layers, max_size=num_layers)
        options["layers"] = draw(layers)
    return options


@st.composite
def heads(draw, embed_dim: int) -> Head:
    """Any small head, over hidden states of dimension `embed_dim`"""
    mixture = draw(st.sampled_from(list(MIXTURES)))
    linear = LinearOptions(draw(st.integers(1, 9)), draw(st.integers(0, 2)))
    if draw(st.booleans()):
        lstm = LSTMOptions(draw(st.integers(1, 9)), draw(st.integers(1, 2)), draw(st.booleans()))
        return Head(mixture=mixture, projection=False, lstm=lstm, linear=linear)
    projection = draw(st.booleans())
    conformer = draw(conformers(8 if projection else embed_dim))
    return Head(mixture=mixture, projection=projection, conformer=conformer, linear=linear)


@st.composite
def prunable_conformers(draw) -> tuple[dict, tuple[str, ...]]:
    """Any small Conformer of which something is left, and some of the units that it has"""
    options = draw(conformers())
    for layer in options.get("layers", ())[:1]:
        layer["heads"] = max(1, layer["heads"])
    left = [unit for unit in HEAD_UNITS if has_unit(Head(conformer=options), unit)]
    units = draw(st.sets(st.sampled_from(left), min_size=1))
    return Head(conformer=options).conformer, tuple(sorted(units))


def has_unit(head: Head, unit: str) -> bool:
    """Whether a head has units of this kind, which gates can be attached to"""
    try:
        head.check_units((unit,))
    except ValueError:
        return False
    return True


@st.composite
def specifications(draw, max_classes: int = 6) -> Specifications:
    """Specifications of any segmentation task"""
    names = st.text(min_size=1).filter(str.strip)
    classes = draw(st.lists(names, min_size=1, max_size=max_classes, unique=True))
    problem = draw(st.sampled_from(PROBLEMS))
    powerset = problem is Problem.MONO_LABEL_CLASSIFICATION
    durations = st.floats(0, 1e3)
    return Specifications(
        problem=problem,
        resolution=draw(st.sampled_from(Resolution)),
        duration=draw(st.floats(0.01, 1e3)),
        min_duration=draw(st.none() | durations),
        warm_up=draw(st.tuples(durations, durations)),
        classes=classes,
        powerset_max_classes=draw(st.integers(1, len(classes))) if powerset else None,
        permutation_invariant=draw(st.booleans()),
    )
