"""Provenance of models: source, licence, training data"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..files.messages import printable
from ..files.schema import refuse, rule, section
from ..wavlm.config import WavLMConfig
from ..wavlm.cost import cost
from .licences import is_same_licence, strictness

# key of checkpoints, and of metadata of safetensors and ONNX files
KEY = "pyannote_prune_provenance"

# texts are printed on cards
LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff`<>|]{1,200}")


@dataclass(frozen=True)
class Provenance:
    """What a model was made from, and under which licence it is

    Parameters
    ----------
    source : str, optional
        Hub id, or name of a file or folder, of the weights that training started from. Defaults
        to random weights, or to a source that is not known.
    owner : str, optional
        Project that released `source`, or one of `teachers`, under `licence`, which holds for all
        that is made or distilled from it.
    licence, data_licence : str, optional
        Licences of the weights and of training data, as they were stated.
    training : tuple of str, optional
        Names of the protocols that the model was trained on.
    dense_parameters : int, optional
        Number of parameters of WavLM before anything was removed.
    validation_loss, error_rate : float, optional
        Scores of a recipe on its development set: loss, and diarization error rate of windows as
        a fraction.
    teachers : tuple of str, optional
        Sources, other than `source`, of models whose outputs training imitated.

    Raises
    ------
    ValueError
        If a text has several lines, markup, or more than 200 characters.
    """

    source: str | None = None
    owner: str | None = None
    licence: str | None = None
    data_licence: str | None = None
    training: tuple[str, ...] = ()
    dense_parameters: int | None = rule(None, minimum=1)
    validation_loss: float | None = None
    error_rate: float | None = rule(None, minimum=0)
    teachers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        texts = {"source": self.source, "owner": self.owner, "licence": self.licence}
        texts |= {"data_licence": self.data_licence}
        for key in ("training", "teachers"):
            texts |= {f"{key}[{i}]": name for i, name in enumerate(getattr(self, key))}
        for key, text in texts.items():
            check_line(key, text)

    @classmethod
    def of(cls, source: str | Path, **options: Any) -> Provenance:
        """Make the provenance of what was read from a hub id, a file or a folder"""
        return cls(source=source_name(source), **options)

    @classmethod
    def from_dict(cls, plain: Any) -> Provenance:
        """Check plain values, of any type: inverse of `to_dict`

        Raises
        ------
        ValueError
            If a key is unknown, or if a value is impossible: the message names the key.
        """
        return cls() if plain is None else section(cls, plain, "provenance")

    def to_dict(self) -> dict[str, Any]:
        """Convert values that are known to plain ones"""
        plain = {key: [*v] if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        return {key: value for key, value in plain.items() if value not in (None, [])}

    def stated(self, licence: str | None = None, data_licence: str | None = None) -> Provenance:
        """Add the licences that a user states

        Parameters
        ----------
        licence, data_licence : str, optional
            Licence of weights, of training data. Default to those that are known.

        Raises
        ------
        ValueError
            If the weights are made or distilled from some that were released under another
            licence, or if a text has several lines, for instance.
        """
        given: dict[str, Any] = {"licence": licence, "data_licence": data_licence}
        given = {key: value for key, value in given.items() if value is not None}
        if self.owner and self.licence and licence is not None:
            if not is_same_licence(licence, self.licence):
                raise ValueError(
                    f"`licence` must be {self.licence!r}, found {licence!r}: these weights were "
                    f"{self._origin}, released under that licence, which holds for what is made "
                    "from them. Leave it out, or train from other weights "
                    "(tutorials/commercial-use.md)."
                )
            del given["licence"]
        return replace(self, **given)

    def trained(self, protocol: str | None) -> Provenance:
        """Add a protocol that the model is trained on: former scores no longer hold"""
        names = () if protocol is None else (_line(protocol),)
        training = tuple(dict.fromkeys((*self.training, *names)))
        return replace(self, training=training, validation_loss=None, error_rate=None)

    def distilled(self, teacher: Provenance) -> Provenance:
        """Add a teacher that training imitates, and its licence if that is the stricter one

        A licence that holds for all that is made from its weights counts more than others. What is
        not known of the teacher is not claimed.
        """
        names = (*self.teachers, *teacher.teachers, teacher.source)
        others = dict.fromkeys(name for name in names if name not in (None, self.source))
        distilled = replace(self, teachers=tuple(others))
        if teacher._restriction > self._restriction:
            return replace(distilled, owner=teacher.owner, licence=teacher.licence)
        return distilled

    @property
    def _restriction(self) -> tuple[bool, int]:
        """Whether nobody may state another licence, and what this one restricts"""
        return bool(self.owner and self.licence), strictness(self.licence)

    @property
    def _origin(self) -> str:
        """What weights were made from, for messages about the licence of `owner`"""
        if not self.teachers:
            return f"made from {self.source or 'some'} of {self.owner}"
        names = [name for name in (self.source, *self.teachers) if name is not None]
        return f"made or distilled from some of {self.owner} ({', '.join(names)})"

    def scored(self, validation_loss: float, error_rate: float) -> Provenance:
        """Add scores, unless they are not finite"""
        scores = {"validation_loss": validation_loss, "error_rate": error_rate}
        finite: dict[str, Any] = {k: float(v) for k, v in scores.items() if math.isfinite(v)}
        return replace(self, **finite)

    def pruned(self, dense: WavLMConfig) -> Provenance:
        """Add the size of WavLM, unless something had been removed before"""
        known = self.dense_parameters or dense_parameters(dense) or cost(dense).parameters
        return replace(self, dense_parameters=known)


def check_line(key: str, text: str | None) -> None:
    """Check a text that cards print

    Raises
    ------
    ValueError
        If it has several lines, markup, or more than 200 characters.
    """
    if text is not None and not LINE.fullmatch(text):
        refuse(key, "one line of at most 200 characters, without any of ` < > |", text)


def dense_parameters(config: WavLMConfig) -> int | None:
    """Number of parameters of the published dense WavLM that a structure is a part of, if any"""
    for name in ("base", "large"):
        dense = WavLMConfig.preset(name)
        if _outline(dense) == _outline(config):
            return cost(dense).parameters
    return None


def _outline(config: WavLMConfig) -> tuple[int, ...]:
    """What pruning leaves as it is"""
    return config.embed_dim, config.num_heads, config.num_layers, len(config.convolutions)


def source_name(source: str | Path) -> str:
    """Name of a source, without the folders of this machine

    >>> source_name("microsoft/wavlm-base-plus"), source_name("/home/me/pruned.ckpt")
    ('microsoft/wavlm-base-plus', 'pruned.ckpt')
    """
    path = Path(source)
    local = path.exists() or isinstance(source, Path) or path.is_absolute()
    return _line(path.resolve().name if local else str(source))


def _line(name: str) -> str:
    """Name as a text of `Provenance`"""
    line = printable(name)
    for character in "`<>|":
        line = line.replace(character, "_")
    return line or "_"
