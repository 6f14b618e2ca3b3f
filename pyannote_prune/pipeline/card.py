"""Model cards of exported folders: what the hub shows, and claims that `check` reads back"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData

from ..files.clutter import files_of
from ..files.schema import section
from ..files.sources import looks_like_hub_id
from ..segmentation.licences import NON_COMMERCIAL, licence_identifier
from ..segmentation.model import WavLMSegmentation
from ..segmentation.provenance import Provenance
from ..segmentation.specifications import single_specifications
from ..segmentation.tables import describe_classes, structure_rows
from ..version import __version__
from .facts import Facts, facts_of
from .settings import DiarizationSettings

CARD = "README.md"

# key of claims in the metadata of a card
CLAIMS = "pyannote_prune"

# folders whose files a card vouches for. Others, `config.yaml` included, may be edited
VOUCHED = ("segmentation", "embedding", "plda")

# as cards of pyannote's own pipelines have them, then ours
TAGS = (
    *("pyannote", "pyannote-audio", "pyannote-audio-pipeline", "audio", "voice", "speech"),
    *("speaker", "speaker-diarization", "speaker-change-detection", "voice-activity-detection"),
    *("overlapped-speech-detection", "automatic-speech-recognition"),
    *("pyannote-prune", "wavlm", "pruning"),
)

# under which the hub lists pyannote's pipelines
TASK = "automatic-speech-recognition"

CITATION = """\
@inproceedings{han2025finetune,
  author    = {Jiangyu Han and Federico Landini and Johan Rohdin and Anna Silnova and Mireia Diez
               and Jan Cernocky and Lukas Burget},
  title     = {Fine-tune Before Structured Pruning: Towards Compact and Accurate Self-Supervised
               Models for Speaker Diarization},
  booktitle = {Interspeech},
  year      = {2025},
  pages     = {1583--1587},
  doi       = {10.21437/Interspeech.2025-484},
}"""


@dataclass(frozen=True)
class Claims:
    """What a card claims about its folder

    Parameters
    ----------
    version : str
        Release of pyannote-prune that wrote it.
    segmentation : Facts
    files : dict of str
        SHA-256 of each model file, by path in the folder.
    """

    version: str
    segmentation: Facts
    files: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values"""
        return vars(self) | {"segmentation": self.segmentation.to_dict()}


def write_card(
    folder: Path,
    model: WavLMSegmentation,
    settings: DiarizationSettings,
    hub_id: str,
    copied: Collection[str],
    packages: Collection[str],
) -> None:
    """Write the card of a folder that is otherwise complete

    Parameters
    ----------
    folder : Path
    model : WavLMSegmentation
        Segmentation model, whose provenance has the licences that were stated.
    settings : DiarizationSettings
    hub_id : str
        Pipeline whose parts are not copied.
    copied : tuple of str
        Parts that are files of the folder.
    packages : tuple of str
        Packages that its embedding needs.
    """
    facts = facts_of(model)
    origin, claims = facts.provenance, Claims(__version__, facts, digests(folder))
    ours: dict[str, Any] = {CLAIMS: claims.to_dict()}
    data = ModelCardData(
        library_name="pyannote-audio",
        pipeline_tag=TASK,
        tags=[*TAGS],
        base_model=origin.source if _is_hub_id(origin.source) else None,
        **_licence_data(origin.licence) | ours,
    )
    extras = "[onnx]" if any(folder.glob("segmentation/*.onnx")) else ""
    sections = (
        _title(facts),
        _use(f"'pyannote-prune{extras}'" if extras else "pyannote-prune", packages, settings),
        _description(facts, model, settings, hub_id, copied),
        _scores(origin),
        _structure(model),
        _licence(origin, settings, hub_id, copied),
        f"## Citation\n\nThe method comes from this paper:\n\n```bibtex\n{CITATION}\n```",
    )
    text = "\n\n".join(sections)
    (folder / CARD).write_text(f"---\n{data.to_yaml()}\n---\n\n{text}\n", encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the model files of a folder, by path"""
    found = {}
    for part in VOUCHED:
        for path in sorted(files_of(folder / part)):
            name = path.relative_to(folder).as_posix()
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def read_card(folder: Path) -> tuple[Claims, str | None]:
    """Read what a card claims

    Returns
    -------
    claims : Claims
    licence : str or None
        Licence that the card gives for the weights.

    Raises
    ------
    ValueError
        If there is no card, if it is damaged, or if another program wrote it.
    """
    path = folder / CARD
    again = "Export the folder again (`pyannote-prune export`)."
    if not path.is_file():
        raise ValueError(f"{str(folder)!r} must have a card, found no {CARD}. {again}")
    try:
        data = ModelCard.load(path).data.to_dict()
    except (ValueError, TypeError, AttributeError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} must start with metadata in YAML, between two lines of ---, found "
            f"others ({str(error).splitlines()[0] if str(error) else error!r}). {again}"
        ) from error
    if CLAIMS not in data:
        raise ValueError(
            f"{str(path)!r} must have claims in its metadata ({CLAIMS!r}), found none: it was not "
            f"written by this package. {again}"
        )
    try:
        claims = section(Claims, data[CLAIMS], CLAIMS)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error} {again}") from error
    licence = data.get("license_name") or data.get("license")
    return claims, None if licence in (None, "unknown") else str(licence)


def _is_hub_id(name: str | None) -> bool:
    return name is not None and looks_like_hub_id(name)


def _licence_data(licence: str | None) -> dict[str, Any]:
    """Licence as the hub writes it"""
    if licence is None:
        return {"license": "unknown"}
    if (identifier := licence_identifier(licence)) is not None:
        return {"license": identifier}
    return {"license": "other", "license_name": licence}


def _link(name: str) -> str:
    """Name of a model, with its address if it is on the hub"""
    return f"[{name}](https://huggingface.co/{name})" if _is_hub_id(name) else f"`{name}`"


def _title(facts: Facts) -> str:
    pruned = f", pruned by {100 * facts.sparsity:.0f} %" if facts.sparsity else ""
    return (
        f"# Speaker diarization with WavLM{pruned}\n\n"
        "Who speaks when: a pipeline for [pyannote.audio]"
        "(https://github.com/pyannote/pyannote-audio) 4, exported by pyannote-prune."
    )


def _use(requirement: str, packages: Collection[str], settings: DiarizationSettings) -> str:
    lines = ["from pyannote.audio import Pipeline"]
    after, recording = "", '"conversation.wav"'
    if not settings.needs_embeddings:
        lines.append("from pyannote.audio.sample import SAMPLE_FILE")
        recording = "dict(SAMPLE_FILE)"
        after = (
            "\n\nIt takes the speakers from references (`annotation`), for scores of segmentation "
            "alone: export the model with embeddings to diarize recordings."
        )
    lines += [
        "",
        'pipeline = Pipeline.from_pretrained("FOLDER")  # this folder, or its name on the hub',
        f"print(pipeline({recording}).speaker_diarization)",
    ]
    code = "\n".join(lines)
    install = f"pip install {' '.join((requirement, *packages))}"
    return f"## Use\n\n```bash\n{install}\n```\n\n```python\n{code}\n```{after}"


def _description(
    facts: Facts,
    model: WavLMSegmentation,
    settings: DiarizationSettings,
    hub_id: str,
    copied: Collection[str],
) -> str:
    origin = facts.provenance
    sparsity = "not known"
    if facts.sparsity is not None:
        sparsity = f"{100 * facts.sparsity:.1f} % of its parameters were removed"
    embedding = "none"
    if "embedding" in settings.parts:
        embedding = "in this folder" if "embedding" in copied else f"that of {_link(hub_id)}"
    rows = {
        "made from": "not known" if origin.source is None else _link(origin.source),
        "distilled from": ", ".join(map(_link, origin.teachers)),
        "trained on (protocols)": ", ".join(f"`{name}`" for name in origin.training) or "not known",
        "parameters of WavLM": f"{facts.parameters:,}",
        "MACs per second of audio": f"{facts.macs_per_second:,}",
        "sparsity": sparsity,
        "window": f"{facts.duration:g} s",
        "classes": describe_classes(single_specifications(model)),
        "clustering": settings.clustering,
        "speaker embedding": embedding,
    }
    return _table("## Model", ("", ""), [row for row in rows.items() if row[1]])


def _scores(origin: Provenance) -> str:
    title = "## Scores"
    found = []
    if origin.validation_loss is not None:
        found.append(("loss", f"{origin.validation_loss:.3f}"))
    if origin.error_rate is not None:
        found.append(("diarization error rate of windows", f"{100 * origin.error_rate:.1f} %"))
    if not found:
        return f"{title}\n\nNone are known: score this pipeline on recordings of your own."
    where = f"On the development set of `{origin.training[-1]}`:" if origin.training else ""
    return _table(f"{title}\n\n{where}".strip(), ("", ""), found)


def _structure(model: WavLMSegmentation) -> str:
    rows = [
        (part, left, f"{size.parameters:,}", f"{size.macs_per_second / 1e6:,.1f} M")
        for part, left, size in structure_rows(model.wavlm.config)
    ]
    return _table("## Structure", ("part of WavLM", "left", "parameters", "MACs / s"), rows)


def _licence(
    origin: Provenance, settings: DiarizationSettings, hub_id: str, copied: Collection[str]
) -> str:
    if origin.licence is None:
        lines = ["- Weights: none was stated. Ask who shares them before you use them."]
    elif origin.owner:
        lines = [
            f"- Weights: {origin.licence}, that of the weights released by {origin.owner} that "
            f"they were made {'or distilled ' if origin.teachers else ''}from."
        ]
        if origin.licence == NON_COMMERCIAL:
            lines[0] += " Not for commercial use."
    else:
        lines = [f"- Weights: {origin.licence}, as stated by who exported them."]
        sources = [] if origin.source is None else [(origin.source, "made")]
        sources += [(teacher, "distilled") for teacher in origin.teachers]
        lines += [
            f"- {_link(name)}, which they were {verb} from: see the licence there."
            for name, verb in sources
        ]
    if origin.data_licence is not None:
        lines.append(f"- Training data: {origin.data_licence}, as stated by who exported them.")
    if "embedding" in settings.parts:
        where = "as in this folder" if "embedding" in copied else f"that of {_link(hub_id)}"
        lines.append(f"- Speaker embedding, {where}: that of its authors.")
    return "\n".join(("## Licence", "", *lines))


def _table(title: str, head: tuple[str, ...], rows: list) -> str:
    """Table of Markdown, below a title"""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join((title, "", *(f"| {' | '.join(line)} |" for line in lines)))
