"""Commands whose module is imported when they are run"""

from __future__ import annotations

from importlib import import_module
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# in the order of `--help`: module of this package, and first line of the command's own help
COMMANDS = {
    "quickstart": (
        "train",
        "Run a whole recipe on a small scale: a few minutes on a laptop, without network",
    ),
    "train": ("train", "Run a RECIPE: fine-tune, prune, distil again, train, export"),
    "prune": ("train", "Prune a fine-tuned MODEL: prune, distil again, train, export"),
    "recipe": ("recipe", "Print a recipe of the package, to start from"),
    "convert": (
        "models",
        "Convert SOURCE into a CHECKPOINT that pyannote.audio reads, or into an ONNX file",
    ),
    "summary": ("models", "Print the structure and cost of a CHECKPOINT, layer by layer"),
    "export": (
        "models",
        "Export SOURCE to FOLDER, as a diarization pipeline that pyannote.audio loads",
    ),
    "check": (
        "check",
        "Check that an exported FOLDER runs offline, and is what its model card claims",
    ),
    "apply": (
        "apply",
        "Diarize RECORDINGS, or a protocol: write one RTTM and one JSON file per recording",
    ),
    "prepare": (
        "prepare",
        "Prepare a CORPUS of the paper for training, from its official files (SOURCE)",
    ),
    "simulate": (
        "simulate",
        "Simulate conversations from recordings of single speakers (VOICES), and write a protocol",
    ),
    "benchmark": ("benchmark", "Measure accuracy and speed, as the pages of tutorials report them"),
}


def unwrap(text: str) -> str:
    """Put each paragraph of a docstring on one line: terminals wrap it to their width"""
    return "\n\n".join(" ".join(each.split()) for each in cleandoc(text).split("\n\n"))


class LazyCommand(TyperCommand):
    """Command that imports its module when it is run

    Parameters
    ----------
    name : str
    module : str
        Module of this package that has a function, or a `typer.Typer`, of that name.
    summary : str
        First line of its help.
    """

    name: str

    def __init__(self, name: str, module: str, summary: str):
        super().__init__(name, help=summary)
        self.module = module

    def load(self) -> Any:
        """Import the command (of click, which recent versions of typer bring along)"""
        command = getattr(import_module(f".{self.module}", __package__), self.name)
        if not isinstance(command, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(self.name)(command)
            command = alone
        loaded: Any = typer.main.get_command(command)
        loaded.name = self.name
        for each in (loaded, *getattr(loaded, "commands", {}).values()):
            each.help = unwrap(each.help)
        return loaded

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return self.load().make_context(*args, **kwargs)


class LazyGroup(TyperGroup):
    """Group of the commands of `COMMANDS`"""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        if cmd_name not in COMMANDS:
            return None
        return LazyCommand(cmd_name, *COMMANDS[cmd_name])
