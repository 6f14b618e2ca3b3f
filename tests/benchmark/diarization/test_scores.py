"""`pyannote-prune benchmark diarization` with a protocol"""

import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate
from running import DURATION, NAME, edit, rttm, write_small_protocol
from running import run as apply
from typer.testing import CliRunner

from pyannote_prune.benchmark.diarization.others import Other, parse_other
from pyannote_prune.benchmark.diarization.parts import Parts
from pyannote_prune.benchmark.diarization.report import ACCURACY_COLUMNS, TIME_COLUMNS
from pyannote_prune.benchmark.diarization.row import score
from pyannote_prune.benchmark.diarization.scores import score_diarization
from pyannote_prune.benchmark.diarization.variants import VARIANTS, Variant, choose_variants
from pyannote_prune.cli import app
from pyannote_prune.data.protocol import load_protocol
from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.pipeline.recordings import recordings_of_protocol

RATES = {
    "der": "diarization error rate",
    "missed": "missed detection",
    "false_alarm": "false alarm",
    "confusion": "confusion",
}

# classes of pipelines
BOTH = ["pyannote.audio", "pyannote-prune"]

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@pytest.fixture(autouse=True)
def threads(monkeypatch, request):
    """Threads instead of processes, which import everything again"""
    if "slow" not in request.keywords:
        monkeypatch.setattr(
            "pyannote_prune.benchmark.diarization.worker.ProcessPoolExecutor",
            lambda *options: ThreadPoolExecutor(1),
        )


def run(*arguments, code: int = 0) -> str:
    command = ["benchmark", "diarization", *map(str, arguments)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_scores_are_those_of_what_apply_writes(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    source = ("--protocol", NAME, "--database", database)
    apply(exported, *source, "--into", tmp_path / "rttm")
    run(
        *("--segmentation", exported, *source, "--output", tmp_path),
        *("--other", f"apply,{tmp_path / 'rttm'},30"),
        *(f"--variant={name}" for name in BOTH),
    )
    results = json.loads((tmp_path / "diarization.json").read_text(encoding="utf-8"))
    rows = {row.pop("name"): row for row in results["rows"]}
    assert list(rows) == [*BOTH, "apply"]

    metric, speakers, true, turns = DiarizationErrorRate(), [], [], 0
    files = list(load_protocol(database, NAME).test())
    for file in files:
        uri, regions = file["uri"], file["annotated"]
        found = load_rttm(tmp_path / "rttm" / f"{uri}.rttm")[uri]
        metric(file["annotation"], found, uem=regions)
        speakers.append(len(found.crop(regions).labels()))
        true.append(len(file["annotation"].crop(regions).labels()))
        turns += len(list(found.crop(regions).itertracks()))
    assert turns > len(files)
    assert max(speakers) > 1
    for row in rows.values():
        assert row["der"] == pytest.approx(abs(metric))
        for key in ("missed", "false_alarm", "confusion"):
            assert row[key] == pytest.approx(metric[RATES[key]] / metric["total"])
        assert row["speakers"]["found"] == sum(speakers)
        assert row["speakers"]["true"] == sum(true) == results["reference"]["speakers"]
        differences = [abs(a - b) for a, b in zip(speakers, true, strict=True)]
        assert row["speakers"]["mean_error"] == pytest.approx(sum(differences) / len(files))
        assert row["turns"] == turns

    duration = results["reference"]["duration"]
    assert duration == pytest.approx(DURATION * len(files))
    for name in BOTH:
        row = rows[name]
        assert row["real_time_factor"] == pytest.approx(row["seconds"] / duration)
        assert row["memory"] > 1e6
        assert {"segmentation", "embeddings", "discrete_diarization"} <= row["steps"].keys()
        assert row["seconds"] == pytest.approx(
            sum(one["seconds"] for one in row["recordings"].values())
        )
    assert rows["apply"]["real_time_factor"] == pytest.approx(30 / duration)
    text = (tmp_path / "diarization.md").read_text(encoding="utf-8")
    assert "without collar, overlaps included" in text
    for columns in (ACCURACY_COLUMNS, TIME_COLUMNS):
        assert f"| {' | '.join(columns)} |" in text
    assert text.count(f"| apply | {100 * abs(metric):.1f} |") == 1
    assert f"| {sum(speakers)} of {sum(true)} |" in text


@pytest.mark.slow
def test_memory_of_a_pipeline_is_its_own(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    recordings = recordings_of_protocol(database, NAME, "test")
    variants = {"alone": Variant()} | choose_variants(BOTH)
    held = b"\1" * 2_000_000_000
    results = score_diarization(recordings, Parts(str(exported)), variants)
    del held
    memory = [row["memory"] for row in results["rows"]]
    assert max(memory) < 2e9
    assert max(memory) < 1.2 * min(memory)


def test_a_row_is_one_line_and_pipelines_take_turns(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    recordings = recordings_of_protocol(database, NAME, "test")
    variants = {"one": Variant(), "two": Variant(options={"median_filter": 5})}
    seen = []
    results = score_diarization(
        recordings,
        Parts(str(exported)),
        variants,
        num_rounds=2,
        report=lambda name, found: seen.append((name, found.recording["uri"])),
    )
    assert seen == 2 * [(name, uri) for uri in ("one", "two") for name in ("one", "two")]
    assert [row["name"] for row in results["rows"]] == ["one", "two"]
    turns = [row["turns"] for row in results["rows"]]
    assert turns[0] != turns[1]


def test_only_annotated_regions_count():
    reference, found = Annotation(), Annotation()
    reference[Segment(0, 10), 0] = "a"
    found[Segment(0, 8), 0] = "x"
    found[Segment(12, 20), 1] = "y"
    recording = {"uri": "it", "annotation": reference}
    inside = {"annotated": Timeline([Segment(0, 10)])}
    everywhere = {"annotated": Timeline([Segment(0, 20)])}
    row = score([recording | inside], {"it": found})
    assert (row["der"], row["speakers"]["mean_error"], row["turns"]) == (0.2, 0, 1)
    row = score([recording | everywhere], {"it": found})
    assert (row["der"], row["speakers"]["mean_error"], row["turns"]) == (1.0, 1, 2)


def test_variants_are_chosen_by_name():
    assert choose_variants(()) == VARIANTS
    assert list(VARIANTS) == [*BOTH, "exact", "balanced", "fast"]
    assert choose_variants(["pyannote-prune"]).keys() == {"pyannote-prune"}


# errors


def test_protocol_without_references_is_refused(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    (annotation,) = (
        line for line in database.read_text(encoding="utf-8").splitlines() if "annotation" in line
    )
    edit(database, f"{annotation}\n", "")
    source = ("--protocol", NAME, "--database", database)
    output = run("--segmentation", exported, *source, code=1)
    assert "`protocol` must have references (`annotation`)" in output
    assert "'one'" in output


def test_recording_without_results_of_another_program_is_named(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    (tmp_path / "one.rttm").write_text(rttm("one"), encoding="utf-8")
    source = ("--protocol", NAME, "--database", database)
    output = run("--segmentation", exported, *source, "--other", f"it,{tmp_path},1", code=1)
    assert f"found no '{tmp_path / 'two.rttm'}'" in output


class Failing(DiarizationPipeline):
    """Pipeline that fails on one recording"""

    def apply(self, file, *args, **kwargs):
        if file["uri"] == "two":
            raise RuntimeError("no luck")
        return super().apply(file, *args, **kwargs)


def test_pipeline_that_fails_is_named_with_the_recording(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    recordings = recordings_of_protocol(database, NAME, "test")
    with pytest.raises(ValueError, match="it failed on 'two': RuntimeError: no luck"):
        score_diarization(recordings, Parts(str(exported)), {"it": Variant(Failing)})


class Killed(ThreadPoolExecutor):
    """Process that the system ends"""

    def submit(self, *args):
        raise BrokenProcessPool


def test_process_that_is_ended_is_named(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    recordings = recordings_of_protocol(database, NAME, "test")
    with pytest.raises(ChildProcessError, match="process of it was ended"):
        score_diarization(recordings, Parts(str(exported)), {"it": Variant()}, start=Killed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", NAME), "go together, found only `--protocol`"),
        (("--database", "DATABASE"), "go together, found only `--database`"),
        (("model.ckpt", "--segmentation", "x.ckpt"), "found both ('model.ckpt' and 'x.ckpt')"),
        (("--other", "it,folder,3"), "`--other` is for scores"),
        (("--variant", "pyannote-prune"), "`--variant` is for scores"),
        (("--embedding", "nowhere.onnx"), "'nowhere.onnx', which does not exist"),
        (("--plda", "FOLDER"), "without xvec_transform.npz, plda.npz"),
        (("--embedding", "FOLDER"), "must have a file 'pytorch_model.bin'"),
        (("--segmentation", "FOLDER"), "must have the 'config.yaml' of a pipeline"),
        (("--segmentation", "base-s80"), "(did you mean 'base-s80-md'?)"),
        (("--device", "cuda:99", "--threshold", "0.5"), "found 'cuda:99'"),
        (("SOURCE",), "`--embedding` must be given to score diarizations"),
        (("SOURCE", "--subset", "development"), "must have a development set, found none"),
        (("SOURCE", "--variant", "pyanote.audio"), "(did you mean 'pyannote.audio'?)"),
        (("SOURCE", "--other", "it,folder"), "must be NAME,FOLDER,SECONDS"),
        (("SOURCE", "--other", "pyannote.audio,folder,1"), "found 'pyannote.audio' twice"),
    ],
)
def test_wrong_options_are_refused(options, message, tmp_path):
    database = write_small_protocol(tmp_path / "data")
    places = {
        "DATABASE": (database,),
        "FOLDER": (database.parent,),
        "SOURCE": ("--protocol", NAME, "--database", database),
    }
    arguments = [word for option in options for word in places.get(option, (option,))]
    assert message in run(*arguments, "--output", tmp_path, code=1)


@pytest.mark.parametrize(
    "text", ["it", "it,folder", ",folder,1", "it,,1", "it,folder,fast", "it,folder,-1", "a,b,nan"]
)
def test_other_without_its_values_is_refused(text):
    with pytest.raises(ValueError, match="`--other` must be NAME,FOLDER,SECONDS"):
        parse_other(text)


def test_folder_of_another_program_may_have_commas():
    assert parse_other("it,a,b,1.5") == Other("it", Path("a,b"), 1.5)
