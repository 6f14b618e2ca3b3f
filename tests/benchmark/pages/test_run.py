"""`pyannote-prune benchmark all`, with tables that take no time"""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pyannote_prune.benchmark.pages.inputs import Inputs, hash_contents
from pyannote_prune.benchmark.pages.run import hours, make_plan, measure_tables
from pyannote_prune.benchmark.pages.table import Table
from pyannote_prune.cli import app


@pytest.fixture
def calls() -> list[str]:
    """Names of tables that were measured, in order"""
    return []


@pytest.fixture
def make(calls):
    """Function that makes tables"""

    def make_table(name: str, error: BaseException | None = None, **options) -> Table:
        def measure(inputs, folder, report, **arguments):
            calls.append(name)
            report("a step")
            if error is not None:
                raise error
            return {"threshold": inputs.threshold, **arguments}

        return Table(name, f"{name}, in words", "page.md", 30, measure, json.dumps, **options)

    return make_table


def measure(tables, output: Path, **inputs) -> dict[str, Exception]:
    given = Inputs(**inputs)
    return measure_tables(make_plan(tables, given, output), given, output)


def states(tables, output: Path, **inputs) -> list[str]:
    return [str(planned) for planned in make_plan(tables, Inputs(**inputs), output)]


def test_what_remains_is_measured(make, calls, tmp_path):
    tables = [make("one", options={"cases": [(1, 8.0)]}), make("two"), make("three")]
    plan = make_plan(tables, Inputs(), tmp_path)
    assert hours(plan) == 1.5
    assert measure(tables[:2], tmp_path) == {}
    assert calls == ["one", "two"]
    assert states(tables, tmp_path) == ["measured", "measured", "to measure"]
    assert hours(make_plan(tables, Inputs(), tmp_path)) == 0.5
    assert measure(tables, tmp_path) == {}
    assert calls == ["one", "two", "three"]
    content = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    assert content["results"] == {"threshold": None, "cases": [[1, 8.0]]}
    assert (tmp_path / "one.md").read_text(encoding="utf-8").startswith("{")


def test_other_options_are_measured_again(make, calls, tmp_path):
    before = [make("one", options={"rounds": 5}), make("two", uses=["threshold"])]
    after = [make("one", options={"rounds": 7}), make("two", uses=["threshold"])]
    measure(before, tmp_path, threshold=0.5)
    assert states(before, tmp_path, threshold=0.5) == ["measured", "measured"]
    assert states(after, tmp_path, threshold=0.6) == [
        "to measure, again: other rounds",
        "to measure, again: other threshold",
    ]
    measure(after, tmp_path, threshold=0.5)
    assert calls == ["one", "two", "one"]


def test_a_table_that_fails_does_not_stop_others(make, calls, tmp_path):
    error = RuntimeError("no memory")
    tables = [make("one", error), make("two")]
    assert measure(tables, tmp_path) == {"one": error}
    assert calls == ["one", "two"]
    # the failed one remains
    assert states(tables, tmp_path) == ["to measure", "measured"]


def test_an_interruption_stops_all_and_keeps_what_is_complete(make, calls, tmp_path):
    tables = [make("one"), make("two", KeyboardInterrupt()), make("three")]
    with pytest.raises(KeyboardInterrupt):
        measure(tables, tmp_path)
    assert calls == ["one", "two"]
    assert states(tables, tmp_path) == ["measured", "to measure", "to measure"]


def test_what_is_missing_is_told(make, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(
        "pyannote_prune.benchmark.pages.table.missing_packages", lambda extra: [f"of-{extra}"]
    )
    needy = make("one", needs=["voices", "min_cluster_size"], extras=["onnx"], gpu=True)
    (state,) = states([needy], tmp_path, min_cluster_size=3)
    assert state == (
        "left out, needs --voices, of-onnx (pip install 'pyannote-prune[onnx]'), a GPU"
    )
    assert measure([needy], tmp_path) == {}
    assert not (tmp_path / "one.json").exists()


def test_inputs_are_known_by_their_contents(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name / "voices" / "Ann").mkdir(parents=True)
        (tmp_path / name / "voices" / "Ann" / "1.wav").write_bytes(b"sound")
    one, other = (
        Inputs(voices=tmp_path / name / "voices", segmentation="base").describe(
            ["voices", "segmentation", "subset"]
        )
        for name in ("here", "there")
    )
    assert one == other
    assert one["segmentation"] == "base"
    assert str(tmp_path) not in json.dumps(one)
    hash_contents.cache_clear()
    (tmp_path / "there" / "voices" / "Ann" / "1.wav").write_bytes(b"noise")
    assert Inputs(voices=tmp_path / "there" / "voices").describe(["voices"]) != {
        "voices": one["voices"]
    }


@pytest.mark.parametrize("given", ["database", "other_protocol"])
def test_half_a_protocol_is_refused(given):
    with pytest.raises(ValueError, match=r"go together, found only `--"):
        Inputs(**{given: "it"})


@pytest.fixture
def run(make, monkeypatch, tmp_path):
    """Function that runs the command on three tables, of which one needs voices"""
    tables = [make("one"), make("bad", ValueError("[too] bad")), make("two", needs=["voices"])]
    monkeypatch.setattr("pyannote_prune.cli.benchmark_all.TABLES", tables)

    def run_command(*arguments: str, code: int) -> str:
        command = ["benchmark", "all", str(tmp_path / "results"), *arguments]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return run_command


def test_command_says_what_it_did_not_measure(run, calls):
    assert "To measure: 2 of 3 tables, some 1.0 hours" in run("--list", code=0)
    assert calls == []
    output = run(code=1)
    assert calls == ["one", "bad"]
    assert "two: left out, needs --voices" in output
    assert "bad failed: [too] bad" in output
    assert "To measure: 1 of 3" in run("--list", code=0)
    assert "To measure: 0 of 1" in run("--table", "one", code=0)


def test_tables_that_are_asked_for_must_be_possible(run, calls):
    assert "`--table two` needs --voices" in run("--table", "one", "--table", "two", code=1)
    assert "found 'on' (did you mean 'one'" in run("--table", "on", code=1)
    assert "`--test-speakers` needs `--voices`" in run("--test-speakers", "Ann", code=1)
    assert calls == []


def test_command_updates_pages_and_measures_nothing(run, calls, tmp_path):
    run("--table", "one", code=0)
    pages = tmp_path / "tutorials"
    pages.mkdir()
    (pages / "speed.md").write_text("<!-- results: one -->\n", encoding="utf-8")
    assert "speed.md" in run("--update", str(pages), code=0)
    assert '{"threshold": null}' in (pages / "speed.md").read_text(encoding="utf-8")
    assert "Nothing to change" in run("--update", str(pages), code=0)
    assert calls == ["one"]
