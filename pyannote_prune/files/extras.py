"""Packages of optional extras"""

from __future__ import annotations

from importlib.util import find_spec

# what `pip install 'pyannote-prune[...]'` brings
EXTRAS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "openvino")}


class MissingExtra(ImportError):
    """Packages of an extra are not installed"""


def missing_packages(extra: str) -> list[str]:
    """Packages of an extra that are not installed"""
    return [package for package in EXTRAS[extra] if find_spec(package) is None]


def require_extra(extra: str) -> None:
    """Check that the packages of an extra are installed

    Raises
    ------
    MissingExtra
        If one of them is not: the message has the command that installs them.
    """
    if missing := missing_packages(extra):
        raise MissingExtra(
            f"Packages are missing: {', '.join(missing)}. Install them: "
            f"pip install 'pyannote-prune[{extra}]'"
        )
