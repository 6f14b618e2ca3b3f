"""Recipes, as people and programs may get them wrong"""

import copy
import functools
import json
import operator
from pathlib import Path

import pytest
import yaml
from fuzz.law import fuzzing, works_or_explains
from fuzz.mutations import junk, mutated, places
from helpers import CONFORMER, tiny_config
from hypothesis import example, given
from hypothesis import strategies as st

from pyannote_prune.recipe.config import Recipe

STAGE = {"max_epochs": 3, "patience": 2, "learning_rate": 1e-3, "batch_size": 8, "average": 2}
COMPLETE = {
    "protocol": "X.SpeakerDiarization.Compound",
    "database": "database.yml",
    "wavlm": tiny_config().to_dict(),
    "conformer": CONFORMER,
    "seed": 1,
    "duration": 2.0,
    "max_speakers_per_chunk": 3,
    "max_speakers_per_frame": 2,
    "num_workers": 0,
    "in_memory": True,
    "pruning": {"target_sparsity": 0.5, "objective": "macs", "units": ["head"], "layers": [0, 2]},
    "stages": {
        "fine_tune": STAGE | {"wavlm_learning_rate": 1e-4},
        "prune": STAGE | {"warm_up_epochs": 1, "gate_learning_rate": 0.1},
        "distil": STAGE,
        "train": STAGE | {"clip_percentile": None, "accumulate": 2, "max_steps_per_epoch": 5},
    },
    "trainer": {"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "32-true"},
    "export": {"parts": "owner/parts", "oracle_clustering": True},
}
PLACES = list(places(COMPLETE))
TEXT = yaml.safe_dump(COMPLETE, sort_keys=False)

# nine levels of nine: a few hundred bytes that stand for 387 million items
LEVELS = ["&a0 [x, x]", *(f"&a{i + 1} [{', '.join([f'*a{i}'] * 9)}]" for i in range(9))]
BOMB = f"[{', '.join(LEVELS)}]"
VALUES = [
    *(BOMB, "&x [*x]", "&x {x: *x}", "9" * 5000, f"0x{'f' * 5000}", f"1{'0' * 4999}.0"),
    *('"\\ud800"', '"\\0"', "2025-01-01", "!!set {a, b}", "!!binary AAAA", "1:30", "0o17", "1_000"),
    *("~", ".nan", "-.inf", "yes", "", '""'),
]
# what PyYAML reads, or almost
FRAGMENTS = [
    *("\t", "\tseed: 1\n", "seed: 1\nseed: 1\n", "- x\n", "? [a, b]\n: c\n", "? {a: b}\n: c\n"),
    *("!!python/object/apply:os.system ['true']\n", "x: !!python/name:os.system\n"),
    *("x: !!python/tuple [1]\n", "x: !unknown y\n", "x: !!binary é\n", "x: !!set {a, b}\n"),
    *("x: !!omap [a: 1]\n", "x: !!timestamp 2025-99-99\n", "x: !!timestamp abc\n", "x: !!int ''\n"),
    *(
        "x: 2025-99-99\n",
        "x: !!int abc\n",
        "x: !!float abc\n",
        "x: !!bool abc\n",
        "x: !!null abc\n",
    ),
    *("x: 0x_\n", "x: 0b\n", "x: 1:99:99\n", "x: .inf\n", "<<: *nothing\n", "<<: [1]\n"),
    *("<<: {a: 1}\n<<: {b: 1}\n", "&a x: *a\n", "x: &x [*x]\n", "x: &x {<<: *x}\n"),
    *("---\n", "...\n", "%YAML 9.9\n---\n", "%TAG ! x\n", *"{}[]'\"|>*&!@`%", "\ufeff", "\u2028"),
    *('"\\ud800": 1\n', 'x: "\\x00"\n', "x: \x07\n", "é: 日本語\n", f"? {BOMB}\n: 1\n"),
    *("[" * 3000, "{a: " * 3000, "- " * 3000, f"{'  ' * 50}x: 1\n"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "database.yml").touch()
    return folder / "recipe.yml"


def dump(content) -> str:
    # many times faster, where PyYAML was built with libyaml
    return yaml.dump(content, Dumper=getattr(yaml, "CDumper", yaml.Dumper), allow_unicode=True)


def load(path: Path, content: str | bytes, fields=()):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    with works_or_explains(path, fields=fields):
        recipe = Recipe.load(path)
        json.dumps(recipe.to_dict())


def test_unspoilt_recipe_is_read(path):
    path.write_text(TEXT)
    assert Recipe.load(path).duration == 2.0


@fuzzing
@given(mutated(COMPLETE))
def test_spoilt_value(path, spoilt):
    plain, fields = spoilt
    load(path, dump(plain), [*fields, "The recipe"])


@fuzzing
@given(st.integers(2, 5), st.data())
def test_several_spoilt_values(path, number, data):
    plain = COMPLETE
    for _ in range(number):
        plain, _ = data.draw(mutated(plain))
    load(path, dump(plain))


@fuzzing
@given(junk)
def test_something_else(path, content):
    load(path, dump(content))


@fuzzing
@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 30),
    st.sampled_from(FRAGMENTS) | st.text(max_size=10) | st.binary(max_size=5),
)
@example(0, len(TEXT), "")
def test_spoilt_text(path, start, length, inserted):
    inserted = inserted if isinstance(inserted, bytes) else inserted.encode("utf-8", "replace")
    text = TEXT.encode()
    load(path, text[:start] + inserted + text[start + length :])


@fuzzing
@given(st.sampled_from(VALUES), st.sampled_from(PLACES))
@example(BOMB, ("wavlm", "layers", 0, "neurons"))
@example(BOMB, ("conformer", "dropout"))
@example(f"0x{'f' * 5000}", ("num_workers",))
def test_value_as_only_yaml_writes_it(path, value, place):
    plain = copy.deepcopy(COMPLETE)
    *parents, last = place
    functools.reduce(operator.getitem, parents, plain)[last] = "HERE"
    load(path, dump(plain).replace("HERE", value), [*place, "line"])


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda fragment: repr(fragment[:20]))
@pytest.mark.parametrize("where", ["alone", "before", "after"])
def test_fragment(path, fragment, where):
    before, after = TEXT * (where == "after"), TEXT * (where == "before")
    load(path, before + fragment + after)


@fuzzing
@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"\xff\xfea\x00")
@example("protocol: é".encode("latin-1"))
@example(TEXT.encode("utf-16"))
@example(b"\x00" * 100)
def test_bytes(path, content):
    load(path, content)
