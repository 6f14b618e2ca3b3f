"""Logs of interrupted trainings, in one file"""

from pyannote_prune.training.logs import merge_logs


def test_rows_that_were_repeated_are_replaced(tmp_path):
    for name, content in {
        "0": "step,loss\n0,1.0\n5,0.9\n10,0.8\n",
        "1": "step,loss,extra\n5,0.7,x\n15,0.6,y\n",
        "2": "",
    }.items():
        (tmp_path / name).write_text(content)
    merge_logs([tmp_path / name for name in ("0", "1", "missing", "2")], tmp_path / "merged")
    rows = [line.split(",") for line in (tmp_path / "merged").read_text().split()]
    assert rows == [
        ["extra", "loss", "step"],
        ["", "1.0", "0"],
        ["x", "0.7", "5"],
        ["y", "0.6", "15"],
    ]
