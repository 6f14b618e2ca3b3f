"""Table and figure say what was measured"""

import statistics

import pytest
from matplotlib.image import imread

from pyannote_prune.benchmark.accuracy import FULL
from pyannote_prune.benchmark.accuracy.arms import METHODS
from pyannote_prune.benchmark.accuracy.report import COLUMNS, markdown, plot, rows, spread


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
            "parameters": round(500_000 * (1 - arm.sparsity)),
            "macs_per_second": 30_000_000,
        }
        if arm.method != "pretrained":
            row["test"] = {"der": der, "missed": 0.05, "false_alarm": 0.03, "confusion": der - 0.08}
        if arm.group == "gates-80":
            row["out_of_domain"] = {"der": 0.4}
        arms.append(row)
    factors = {arm.group: 0.001 for arm in FULL.arms()}
    return {"arms": arms, "real_time_factors": factors}


def test_one_row_per_group_with_mean_and_spread(results):
    table = rows(results)
    assert len(table) == len({arm.group for arm in FULL.arms()} - {"pretrained"})
    assert all(len(row) == len(COLUMNS) for row in table)
    dense = dict(zip(COLUMNS, table[0], strict=True))
    assert dense["Arm"] == "pretrained, fine-tuned, dense"
    assert (dense["Seeds"], dense["DER"], dense["Missed"]) == ("3", "12.0 ± 1.0", "5.0")
    single = [row for row in table if row[2] == "1"]
    assert len(single) == 2
    assert all("±" not in row[6] for row in single)
    macs = [row for row in table if "MACs" in row[0]]
    assert [row[0] for row in macs] == ["fine-tuned, then pruned (80% of MACs)"]
    assert markdown(results).count("\n") == len(table) + 2
    assert [row[-1] for row in table].count("40.0 ± 0.0") == 1


def test_spread_is_a_standard_deviation():
    rates = [0.10, 0.12, 0.17]
    deviation = 100 * statistics.stdev(rates)
    assert spread(rates) == f"13.0 ± {deviation:.1f}"
    assert spread([0.2]) == "20.0"


def test_figure_has_the_results(results, tmp_path, monkeypatch):
    """Means on curves, all seeds as points, dense models as levels"""
    drawn = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda figure, *_, **__: drawn.append(figure)
    )
    plot(results, tmp_path / "figure.png")
    (axes,) = drawn[0].axes
    lines = {line.get_label(): line for line in axes.lines}
    points = [tuple(point) for line in axes.lines for point in line.get_xydata()]
    rates: dict[str, list[float]] = {}
    for arm in results["arms"]:
        if "test" in arm and arm["objective"] == "parameters":
            rates.setdefault(arm["group"], []).append(100 * arm["test"]["der"])
    for method in ("dense", "longer"):
        level = lines[METHODS[method]].get_ydata()
        assert level == pytest.approx([statistics.mean(rates[method])] * 2)
    for method in ("gates", "scratch", "magnitude", "early"):
        groups = sorted(group for group in rates if group.startswith(f"{method}-"))
        means = [statistics.mean(rates[group]) for group in groups]
        assert lines[METHODS[method]].get_ydata() == pytest.approx(means)
        for group in groups:
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
            arm["test"]["der"] = 0.5
    plot(results, tmp_path / "fails.png")
    for arm in results["arms"]:
        if arm["group"] == "magnitude-90":
            arm["test"]["der"] = 0.9
    plot(results, tmp_path / "fails-more.png")
    one, other = (imread(tmp_path / f"{name}.png") for name in ("fails", "fails-more"))
    changed = (one != other).any(-1).any(1).nonzero()[0]
    # the lower half, with the axis and most of the curves, is the same to the pixel
    assert len(changed) > 0
    assert changed.max() < 0.5 * len(one)


@pytest.mark.parametrize("wanted", [["dense"], ["gates-80"]])
def test_figure_of_some_arms_is_drawn(results, tmp_path, wanted):
    groups = {arm.group for arm in FULL.arms(wanted)}
    assert "longer" not in groups
    arms = [arm for arm in results["arms"] if arm["group"] in groups]
    plot(results | {"arms": arms}, tmp_path / "some.png")
    assert imread(tmp_path / "some.png").shape[0] > 300
