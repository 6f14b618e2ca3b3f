"""Pages say what there is: links, commands, names"""

import ast
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lightning
import pytest
import torch
from helpers import CONFORMER, QUIET, TINY, tiny_model
from pyannote.database import registry
from scipy.io import wavfile

import pyannote_prune
from pyannote_prune import cost, save_checkpoint
from pyannote_prune.cli.lazy import COMMANDS, LazyCommand
from pyannote_prune.pipeline import check
from pyannote_prune.pipeline.card import read_card
from pyannote_prune.pipeline.clean_process import Trial
from pyannote_prune.segmentation import model
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.provenance import Provenance
from pyannote_prune.wavlm.config import WavLMConfig

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "tutorials"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(TUTORIALS.glob("*.md"))]
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
PUBLIC = [name for name in pyannote_prune.__all__ if not name.startswith("_")]


class Links(HTMLParser):
    """Where a page can be reached, and where it leads"""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        attributes = dict(attrs)
        self.anchors.add(attributes.get("id") or "")
        if tag == "a" and attributes.get("href"):
            self.targets.append(attributes["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Documentation site, made with the command of tutorials/contributing.md"""
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    page = (TUTORIALS / "contributing.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"\b(mkdocs build .*)$", page, flags=re.M)
    subprocess.run(
        [sys.executable, "-m", *command.split(), "--strict", "-d", str(folder)],
        check=True,
        timeout=300,
        cwd=ROOT,
    )
    return folder


def test_site_has_every_page_and_public_name_and_no_broken_link(site):
    files = {path.resolve() for path in site.rglob("*") if path.is_file()}
    # links of the page for lost visitors start from the root of a server
    pages = {
        path: Links(path.read_text(encoding="utf-8"))
        for path in files
        if path.suffix == ".html" and path.name != "404.html"
    }
    for page in PAGES[1:] + NOTEBOOKS:
        assert (site / page.relative_to(ROOT)).with_suffix(".html").resolve() in pages
    main = pages[(site / "reference" / "index.html").resolve()]
    assert {*PUBLIC} <= {anchor.split(".")[-1] for anchor in main.anchors}
    checked = 0
    for path, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            page = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            page = page / "index.html" if page.is_dir() else page
            assert page in files, f"{path.name}: {target}"
            if page in pages:
                anchors = pages[page].anchors | {""}
                assert unquote(parts.fragment) in anchors, f"{path.name}: {target}"
            checked += 1
    assert checked > 1000


@pytest.mark.parametrize("page", PAGES + NOTEBOOKS, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        found = page.parent / unquote(parts.path) if parts.path else page
        assert found.is_file(), target
        if parts.fragment:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), flags=re.M)
            assert parts.fragment in map(slug, headings), target


def slug(heading: str) -> str:
    """Anchor of a heading on a page of Markdown, as GitHub makes it"""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# messages of dependencies that have a heading in tutorials/troubleshooting.md
FOREIGN = {
    "torchcodec is not available. Cannot read audio file.",
    "Could not load libtorchcodec",
    "OSError: ... libtorch_cuda.so: cannot open shared object file",
    "AttributeError: 'SpeakerDiarization' object has no attribute '_audio'",
}


def test_headings_of_troubleshooting_are_messages_of_the_code():
    """At least half of each, word for word: the rest may be a value"""
    page = (TUTORIALS / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^\*\*(.*?)\*\*(?: or \*\*(.*?)\*\*)?", page, flags=re.M)
    messages = [re.fullmatch(r"(`+) ?(.*?) ?\1", one) for one in sum(headings, ()) if one]
    ours = {found[2] for found in messages if found} - FOREIGN
    assert len(ours) > 20
    texts = "\n".join(
        node.value
        for path in Path(pyannote_prune.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    for message in ours:
        half = -(-len(message) // 2)
        starts = range(len(message) - half + 1)
        assert any(message[start : start + half] in texts for start in starts), message


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_say_what_they_take_and_give(name):
    thing = getattr(pyannote_prune, name)
    text = inspect.getdoc(thing)
    assert text
    first, *_ = text.splitlines()
    assert not first.endswith(".")
    parameters = [
        parameter.name
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    for parameter in parameters:
        assert re.search(rf"\b{parameter}\b", text), parameter
    if inspect.isfunction(thing):
        gives = inspect.signature(thing).return_annotation not in (None, "None")
        assert ("Returns\n-------" in text) == gives


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_pages_exist(page):
    known = commands({name: LazyCommand(name, *what).load() for name, what in COMMANDS.items()})
    for line in re.findall(r"pyannote-prune ([a-z][^`|#\n]*)", page.read_text()):
        words = line.split()
        name = " ".join(words[:2]) if words[0] == "benchmark" else words[0]
        assert name in known, line
        for option in re.findall(r"--[a-z0-9-]+", line):
            assert option in known[name], line


def commands(group: dict, prefix: str = "") -> dict[str, set[str]]:
    """Options of each command"""
    found = {}
    for name, command in group.items():
        if hasattr(command, "commands"):
            found |= commands(command.commands, f"{prefix}{name} ")
        else:
            found[prefix + name] = {
                option for parameter in command.params for option in parameter.opts
            }
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_that_examples_import_exist(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.M | re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                scope: dict = {}
                exec(ast.unparse(node), scope)


def test_readme_is_short_and_leads_to_every_tutorial():
    """The limit keeps it within two or three screens: what is longer has a page"""
    assert README.stat().st_size <= 10_240
    linked = set(re.findall(r"\]\(tutorials/([^)#]+)", README.read_text(encoding="utf-8")))
    assert {path.name for path in PAGES[2:] + NOTEBOOKS} <= linked


def python_blocks(page: Path) -> list[str]:
    """Python examples of a page"""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


class OneSmallStep(lightning.Trainer):
    """Trainer of the examples, for one step on four windows"""

    def __init__(self, **options):
        few = {"max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 1}
        super().__init__(**options | few | QUIET | {"num_sanity_val_steps": 0})

    def fit(self, model):
        model.task.batch_size = 4
        super().fit(model)


@pytest.fixture
def small_examples(protocol, tmp_path, monkeypatch):
    """Examples train a tiny WavLM, for one step, on the protocol of the tests"""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "load_database", lambda path: None)
    monkeypatch.setattr(registry, "get_protocol", lambda name, preprocessors: protocol)
    monkeypatch.setattr(lightning, "Trainer", OneSmallStep)
    config = WavLMConfig.dense(num_layers=2, neurons=160, channels=12, **TINY)
    make_encoder = model.make_encoder
    monkeypatch.setattr(
        model,
        "make_encoder",
        lambda wavlm, units: make_encoder(config if isinstance(wavlm, str) else wavlm, units),
    )
    for name, value in CONFORMER.items():
        monkeypatch.setitem(model.CONFORMER_DEFAULTS, name, value)


@pytest.mark.parametrize("page", [README, TUTORIALS / "training.md"], ids=lambda page: page.name)
def test_examples_of_training_and_pruning_run_as_they_are(page, small_examples):
    """Every name is defined on the page, and training and pruning did something"""
    scope: dict = {}
    for block in python_blocks(page):
        if "lightning" in block:
            exec(block, scope)
    teacher, found = scope["teacher"], load_checkpoint("pruned.ckpt")
    left = cost(found.wavlm).parameters / cost(teacher.wavlm).parameters
    assert left == pytest.approx(0.2, abs=0.01)
    assert scope["student"].trainer.global_step >= 1
    assert (found.wavlm.norm.weight != teacher.wavlm.norm.weight).any()


def test_example_of_a_released_model_diarizes(exported, tmp_path, monkeypatch, capsys):
    """With a pipeline of the tests, and noise"""
    (block,) = (block for block in python_blocks(README) if "Pipeline.from_pretrained" in block)
    monkeypatch.chdir(tmp_path)
    Path("pruned-pipeline").symlink_to(exported)
    wavfile.write("conversation.wav", 16000, torch.randn(48000).mul(0.1).numpy())
    exec(block, {})
    assert "SPEAKER_00" in capsys.readouterr().out


def test_example_of_safetensors_gives_the_same_model(tmp_path, monkeypatch):
    blocks = python_blocks(TUTORIALS / "released-models.md")
    (saving,) = (block for block in blocks if "model.safetensors" in block)
    monkeypatch.chdir(tmp_path)
    saved = tiny_model()
    scope = {"model": saved}
    exec(saving, scope)
    waveforms = torch.randn(1, 1, 8000)
    assert scope["model"] is not saved
    with torch.inference_mode():
        assert torch.equal(scope["model"](waveforms), saved(waveforms))


def test_examples_of_sharing_run_on_an_exported_folder(exported, tmp_path, monkeypatch, capsys):
    """With noise, and without the process that tests of `check` start"""
    monkeypatch.chdir(tmp_path)
    Path("my-name").mkdir()
    for name in ("my-name/my-pipeline", "my-pipeline"):
        Path(name).symlink_to(exported)
    wavfile.write("conversation.wav", 16000, torch.randn(48000).mul(0.1).numpy())
    trial = Trial(read_card(exported)[0].segmentation, speakers=2, speech=10.0)
    monkeypatch.setattr(check, "try_pipeline", lambda folder: trial)
    for block in python_blocks(TUTORIALS / "sharing.md"):
        exec(block, {})
    output = capsys.readouterr().out
    assert "SPEAKER_00" in output
    assert "39,884 39,884" in output


def test_example_of_commercial_use_says_where_a_model_comes_from(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = tiny_model()
    model.provenance = Provenance("microsoft/wavlm-base-plus", licence="MIT")
    save_checkpoint(model, "commercial/4-train/model.ckpt")
    (block,) = python_blocks(TUTORIALS / "commercial-use.md")
    exec(block, {})
    assert repr(model.provenance) in capsys.readouterr().out
