"""Commands are imported when they are run"""

import subprocess
import sys

import pytest

from pyannote_prune.cli.lazy import COMMANDS, LazyCommand

HEAVY = ("torch", "lightning", "transformers", "pyannote.audio", "pandas", "scipy")


@pytest.mark.parametrize("name", COMMANDS)
def test_first_line_is_that_of_the_help_of_the_command(name):
    module, summary = COMMANDS[name]
    help_ = LazyCommand(name, module, summary).load().help
    assert help_.splitlines()[0] == summary


@pytest.mark.parametrize("name", COMMANDS)
def test_terminals_wrap_the_paragraphs_of_help(name):
    command = LazyCommand(name, *COMMANDS[name]).load()
    for each in (command, *getattr(command, "commands", {}).values()):
        paragraphs = each.help.split("\n\n")
        assert not any("\n" in paragraph or "  " in paragraph for paragraph in paragraphs)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["recipe", "base-plus-s80"], ["apply", "--help"]],
)
def test_commands_that_need_no_model_import_none(arguments):
    code = (
        "import sys; from pyannote_prune.cli import app\n"
        f"try: app({arguments!r})\n"
        f"except SystemExit as end: print([n for n in {HEAVY!r} if n in sys.modules], end.code)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.splitlines()[-1] == "[] 0", output.stdout + output.stderr


def test_unknown_command_is_refused():
    command = [sys.executable, "-m", "pyannote_prune", "aply"]
    output = subprocess.run(command, capture_output=True, text=True)
    assert output.returncode == 2
    assert "No such command 'aply'" in output.stderr
