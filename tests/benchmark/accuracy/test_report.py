"""Tables and figure say what was measured"""

import statistics

import pytest
from matplotlib.image import imread

from pyannote_prune.benchmark.accuracy import FULL
from pyannote_prune.benchmark.accuracy.arms import METHODS
from pyannote_prune.benchmark.accuracy.figure import STYLES, plot
from pyannote_prune.benchmark.accuracy.intervals import interval
from pyannote_prune.benchmark.accuracy.report import (
    COLUMNS,
    PAIR_COLUMNS,
    SIZE_COLUMNS,
    WHOLE_COLUMNS,
    errors_of,
    groups,
    markdown,
    pair_rows,
    rich_tables,
    rows,
    size_rows,
    spread,
    whole_rows,
)

NUM_CONVERSATIONS = 12


def scores(der: float) -> dict:
    """Made-up scores: some conversations are harder than others"""
    recordings = {}
    for number in range(NUM_CONVERSATIONS):
        confusion = der - 0.08 + 0.02 * (number % 3 - 1)
        parts = {"missed": 0.05, "false_alarm": 0.03, "confusion": confusion}
        recordings[f"test{number}"] = {
            "speech": 25.0,
            "errors": {name: 25.0 * rate for name, rate in parts.items()},
        }
    rates = {"der": der, "missed": 0.05, "false_alarm": 0.03, "confusion": der - 0.08}
    speakers = {"found": 50, "true": 44, "mean_error": 0.5}
    return {**rates, "speakers": speakers, "recordings": recordings}


@pytest.fixture
def results() -> dict:
    """Made-up numbers: the error grows with sparsity, and differs between seeds"""
    arms = []
    for arm in FULL.arms():
        der = 0.10 + 0.1 * arm.sparsity**2 + 0.01 * arm.seed + 0.05 * (arm.method == "scratch")
        row = {
            "method": arm.method,
            "seed": arm.seed,
            "sparsity": arm.sparsity,
            "objective": arm.objective,
            "group": arm.group,
            "removed": arm.sparsity,
            "removed_macs": 0.9 * arm.sparsity,
            "removed_model": 0.8 * arm.sparsity,
            "parameters": round(500_000 * (1 - arm.sparsity)),
            "macs_per_second": 30_000_000,
        }
        if arm.method != "pretrained":
            row["test"] = scores(der)
            row["diarization"] = scores(der + 0.1)
        if arm.group == "gates-80":
            row["out_of_domain"] = {"der": 0.4}
        arms.append(row)
    factors = {arm.group: 0.001 for arm in FULL.arms()}
    return {
        "arms": arms,
        "real_time_factors": factors,
        "speakers": "Speakers apart: 3 test",
        "seconds": 7200,
        "num_jobs": 2,
        "machine": "2 cores",
        "version": "1.2.3",
        "diarization": {"threshold": 0.7, "min_cluster_size": 5, "step": 0.25},
    }


def test_one_row_per_group_with_mean_and_interval(results):
    table = rows(results)
    assert len(table) == len({arm.group for arm in FULL.arms()} - {"pretrained"})
    assert all(len(row) == len(COLUMNS) for row in table)
    dense = dict(zip(COLUMNS, table[0], strict=True))
    assert dense["Arm"] == "dense"
    assert (dense["Seeds"], dense["Missed"]) == ("5", "5.0")
    bound = interval(errors_of(groups(results)["dense"], "test"))
    assert dense["DER"] == f"13.0 [{100 * bound.low:.1f}, {100 * bound.high:.1f}]"
    assert [row[-1] for row in table].count("40.0 ± 0.0") == 1


def test_sizes_say_how_far_the_target_was_missed(results):
    table = [dict(zip(SIZE_COLUMNS, row, strict=True)) for row in size_rows(results)]
    assert [row["Arm"] for row in table] == [row[0] for row in rows(results)]
    assert table[0]["Off target"] == ""  # dense
    macs = [row for row in table if "MACs" in row["Arm"]]
    assert [row["Arm"] for row in macs] == ["pruned by our recipe (80 % of MACs)"]
    # 72 % of MACs where 80 % were asked for
    assert [(row["MACs removed"], row["Off target"]) for row in macs] == [("72.0 %", "-8.00")]


def test_whole_diarizations_have_a_table_of_their_own(results):
    table = whole_rows(results)
    assert len(table) == len(rows(results))
    dense = dict(zip(WHOLE_COLUMNS, table[0], strict=True))
    assert dense["DER"].startswith("23.0 [")
    assert (dense["Speakers found"], dense["True"]) == ("50.0", "44")
    for arm in results["arms"]:
        arm.pop("diarization", None)
    assert whole_rows(results) == []
    assert {row[2] for row in pair_rows(results)} == {"clustering given"}


def test_differences_are_paired(results):
    pairs = [("gates-90", "scratch-90"), ("gates-95", "gates-70"), ("gates-80", "nothing-80")]
    table = [dict(zip(PAIR_COLUMNS, row, strict=True)) for row in pair_rows(results, pairs)]
    assert len(table) == 4  # the last pair has not been run
    # by 5 points for each seed and conversation
    assert table[0]["Difference of DER"] == "-5.0 [-5.0, -5.0]"
    assert table[0]["Excludes 0"] == "yes"
    names = ("pruned by our recipe, 90 %", "same structure as ours, from scratch, 90 %")
    assert (table[0]["Arm"], table[0]["Minus"]) == names
    # seed 1 alone is there for 70 %
    assert table[1]["Seeds"] == "1 (conversations only)"


def test_text_has_all_tables_and_where_they_come_from(results):
    text = markdown(results)
    assert text.count("\n\n| Arm |") == 4
    for part in ("Speakers apart: 3 test", "2.0 hours", "2 cores", "1.2.3", "threshold 0.7", "25%"):
        assert part in text
    assert len(rich_tables(results)) == 4


def test_spread_is_a_standard_deviation():
    rates = [0.10, 0.12, 0.17]
    deviation = 100 * statistics.stdev(rates)
    assert spread(rates) == f"13.0 ± {deviation:.1f}"
    assert spread([0.2]) == "20.0"


def test_figure_has_the_results(results, tmp_path, monkeypatch):
    """Means on curves with their intervals, all seeds as points, dense models as levels"""
    drawn = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda figure, *_, **__: drawn.append(figure)
    )
    plot(results, tmp_path / "figure.png")
    (axes,) = drawn[0].axes
    lines = {line.get_label(): line for line in axes.lines}
    bars = {one.get_label(): one for one in axes.containers}
    points = [tuple(point) for line in axes.lines for point in line.get_xydata()]
    rates: dict[str, list[float]] = {}
    for arm in results["arms"]:
        if "test" in arm and arm["objective"] == "parameters":
            rates.setdefault(arm["group"], []).append(100 * arm["test"]["der"])
    for method in ("dense", "longer"):
        level = lines[METHODS[method]].get_ydata()
        assert level == pytest.approx([statistics.mean(rates[method])] * 2)
    assert bars.keys() == {METHODS[method] for method in STYLES}
    for method in STYLES:
        names = sorted(group for group in rates if group.rsplit("-", 1)[0] == method)
        means = [statistics.mean(rates[group]) for group in names]
        curve, _, (segments,) = bars[METHODS[method]]
        assert curve.get_ydata() == pytest.approx(means)
        for group, segment in zip(names, segments.get_segments(), strict=True):
            bound = interval(errors_of(groups(results)[group], "test"))
            expected = [100 * bound.low, 100 * bound.high]
            assert segment[:, 1] == pytest.approx(expected), group
            for rate in rates[group]:
                assert any(y == pytest.approx(rate) for _, y in points), group
    assert "%" in axes.get_xlabel()
    assert "%" in axes.get_ylabel()


def test_figure_is_written(results, tmp_path):
    plot(results, tmp_path / "figure.png")
    height, width, _ = imread(tmp_path / "figure.png").shape
    assert height > 300
    assert width > 500


def test_an_arm_that_fails_altogether_does_not_flatten_others(results, tmp_path):
    """Its value is written at the top: others stay where they are"""
    for arm in results["arms"]:
        if arm["group"] == "magnitude-90":
            arm["test"] = scores(0.5)
    plot(results, tmp_path / "fails.png")
    for arm in results["arms"]:
        if arm["group"] == "magnitude-90":
            arm["test"] = scores(0.9)
    plot(results, tmp_path / "fails-more.png")
    one, other = (imread(tmp_path / f"{name}.png") for name in ("fails", "fails-more"))
    changed = (one != other).any(-1).any(1).nonzero()[0]
    # the lower half, with the axis and most of the curves, is the same to the pixel
    assert len(changed) > 0
    assert changed.max() < 0.5 * len(one)


@pytest.mark.parametrize("wanted", [["dense"], ["gates-80"]])
def test_figure_of_some_arms_is_drawn(results, tmp_path, wanted):
    some = {arm.group for arm in FULL.arms(wanted)}
    assert "longer" not in some
    arms = [arm for arm in results["arms"] if arm["group"] in some]
    plot(results | {"arms": arms}, tmp_path / "some.png")
    assert imread(tmp_path / "some.png").shape[0] > 300
