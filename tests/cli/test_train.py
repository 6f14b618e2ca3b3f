import shlex
from pathlib import Path

import pytest
from recipes import from_dict

from pyannote_prune.cli.lazy import COMMANDS, LazyCommand
from pyannote_prune.cli.train import apply_command


@pytest.mark.parametrize("is_oracle", [False, True])
def test_next_command_has_references_if_the_pipeline_needs_them(tmp_path, is_oracle):
    recipe = from_dict({"export": {"oracle_clustering": is_oracle}}, folder=tmp_path / "été 1")
    pipeline = Path("my meetings") / "pipeline"
    _, name, *arguments = shlex.split(apply_command(recipe, pipeline))
    context = LazyCommand(name, *COMMANDS[name]).make_context(name, arguments)
    assert context.params["pipeline"] == str(pipeline)
    assert context.params["protocol"] == (recipe.protocol if is_oracle else None)
    assert bool(context.params["recordings"]) is not is_oracle
    if is_oracle:
        assert context.params["database"] == recipe.database
