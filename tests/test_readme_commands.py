"""Every command of the READMEs is run, small; or it is parsed, and the reason is told.

WAYS says how, by pattern: the first one that fits is taken, and a command that none fits fails. A
command that runs has its inputs made by `readme_shop`, and words appended that make it small.
Commands that play a game or train are parsed, and with `-m long` they run, too.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import readme_shop as shop_of

from nitrogen_jax import cli
from nitrogen_jax.commands import eval as eval_command
from nitrogen_jax.commands import eval_run, nested
from nitrogen_jax.config import load
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import suite, tasks
from nitrogen_jax.plan import chips
from nitrogen_jax.sim import catalogue

ROOT = shop_of.ROOT


@dataclass(frozen=True)
class Ran:
    """It is run, in a folder of its own.

    Attributes:
        needs: what is put there first: files, and folders that the command names; the folders of
            the checkout are there as well.
        add: words at the end; of an option that is there twice the last one counts.
        without: patterns of words that are left out.
        codes: exit codes that are fine.
        modules: without these it is skipped.
        gives: files that are there afterwards.
    """

    needs: Sequence[str] = ()
    add: Sequence[str] = ()
    without: Sequence[str] = ()
    codes: Sequence[int] = (0,)
    modules: Sequence[str] = ()
    gives: Sequence[str] = ()


@dataclass(frozen=True)
class Dry:
    """A script whose `--dry-run` is run, after the word that is named, or else last."""

    reason: str
    after: str = ""


@dataclass(frozen=True)
class Parsed:
    """The real parser takes it; `long` is how `-m long` runs it where the game is installed."""

    reason: str
    long: Ran | None = None
    game: str = "supertux"


@dataclass(frozen=True)
class Elsewhere:
    """It is a test of its own: a file and words in it."""

    file: str
    words: str


JAX = ("jax",)
TABLES = ("pyarrow", "av")
TRAIN = ("grain", "pyarrow", "orbax.checkpoint", "tensorboardX")
NG = ("ng_converted", "vision.json")
SHORT = ("--seconds", "1", "--no-view")
RUNS_ON = "runs until it is ended: tests/commands/test_serve.py does so"
WORKS = "the full size takes minutes to compile: tests/plan does so with small ones"
FULL = "the full size needs a GPU and the released weights"
PLAYS = "plays a game in real processes for a while"
BENCH = Ran(
    ("skins", "pads.npz"),
    ("--clips", "1", "--seconds", "1", "--width", "220", "240", "--workers", "1"),
    codes=(0, 1),
    modules=TABLES,
)
TRAINS = Ran(
    ("records_game",), shop_of.SMALL_TRAINING, modules=TRAIN, gives=("runs/*/result.json",)
)
EVALS = Ran(NG, ("--task", "vizdoom/predict-position", "--episodes", "1", "--no-clips"))

WAYS: Sequence[tuple[str, Ran | Dry | Parsed | Elsewhere]] = (
    (r"\./launch/quickstart\.sh", Elsewhere(".ci/run", "launch/quickstart.sh")),
    (r"\./launch/test\.sh", Elsewhere(".ci/run", "launch/test.sh")),
    (r"nitrogen doctor", Ran(codes=(0, 1))),
    (r"nitrogen quickstart --list", Ran(modules=("jax", *TABLES))),
    (r"nitrogen quickstart ", Parsed("takes a quarter of an hour: tests/long/test_quickstart.py")),
    (r"nitrogen study ", Parsed("takes half an hour and more: tests/chain")),
    (r"launch/transfer\.sh ", Dry("takes an hour: tests/chain", "launch/transfer.sh")),
    # Weights and prediction.
    (r"nitrogen info random:nitrogen", Ran(modules=JAX)),
    (r"nitrogen info ", Ran(NG, modules=JAX)),
    (
        r"nitrogen convert ",
        Ran(("ng.pt", "vision.json"), modules=JAX, gives=("ng_converted/params",)),
    ),
    (
        r"nitrogen predict --policy ng_converted/ --images ",
        Ran((*NG, "frame.png"), modules=JAX, gives=("chunk.png",)),
    ),
    (
        r"nitrogen predict --policy ng_converted/ --videos ",
        Ran((*NG, "clips", "tables"), modules=(*JAX, *TABLES), gives=("chunks.parquet",)),
    ),
    (
        r"nitrogen predict --policy runs/tiny ",
        Parsed("compiles for half a minute", Ran(("runs/tiny", "frame.png"), modules=TRAIN), ""),
    ),
    (
        r"nitrogen verify tests/data/golden/tiny",
        Elsewhere("tests/commands/test_verify.py", 'GOLDEN.with_name("tiny")'),
    ),
    (
        r"nitrogen bench sample ",
        Parsed(
            "compiles the full size: tests/bench has a small one",
            Ran(add=("--policy", "random:test", "--batches", "1"), modules=JAX),
            "",
        ),
    ),
    # Labels.
    (r"nitrogen label skins ", Ran(("skins",), gives=("sheet.png",))),
    (r"nitrogen label run .*--cluster", Parsed("needs a cluster: tests/labeling/test_cluster.py")),
    (r"nitrogen label run .*--parser", Parsed("needs a trained reader, which takes half an hour")),
    (
        r"nitrogen label run ",
        # There is no overlay in the made-up videos, which is said.
        Parsed("looks for long", Ran(("videos", "skins"), codes=(1,), modules=TABLES), ""),
    ),
    (r"nitrogen label review ", Ran(("labels", "videos"), modules=TABLES)),
    (
        r"nitrogen label apply ",
        Ran(("labels", "chunk.corrections.json"), codes=(1,), modules=TABLES),
    ),
    (
        r"nitrogen label bench ",
        Parsed("takes long: tests/commands/test_label_bench.py", BENCH, ""),
    ),
    (
        r"nitrogen label bake-skin ",
        Parsed("needs Chromium: tests/commands/test_label_bake_skin.py"),
    ),
    # Data.
    (
        r"nitrogen data demo ",
        Ran(add=("--videos", "1", "--seconds", "1", "--rate", "30"), modules=TABLES),
    ),
    (r"nitrogen data inspect demo/", Ran(("demo",), modules=TABLES, gives=("labels.html",))),
    (r"nitrogen data inspect ", Ran(("labels",), modules=TABLES, gives=("labels.html",))),
    (r"nitrogen data validate demo/", Ran(("demo",), modules=TABLES)),
    (r"nitrogen data validate labels/", Ran(("labels",), modules=TABLES)),
    (r"nitrogen data validate rec/", Parsed("what it reads is of `nitrogen play`, which plays")),
    (r"nitrogen data missing ", Ran(("labels", "videos"), modules=TABLES)),
    (
        r"nitrogen data build --labels (demo|game)/",
        Ran(("demo", "game"), ("--workers", "1"), modules=TRAIN, gives=("records*/*/*.json",)),
    ),
    (
        r"nitrogen data build ",
        Ran(("labels", "videos"), ("--workers", "1"), modules=TRAIN, gives=("records*/*/*.json",)),
    ),
    (
        r"nitrogen data shuffle ",
        Ran(("demo",), modules=TABLES, gives=("shuffled/**/actions_raw.parquet",)),
    ),
    (r"nitrogen data index ", Ran(("records",), modules=TRAIN)),
    (
        r"nitrogen bench data ",
        Ran(
            ("records",),
            ("--workers", "0", "--batch", "2", "--seconds", "0.1"),
            modules=TRAIN,
        ),
    ),
    # Training.
    (
        r"nitrogen train .*--coordinator",
        Parsed("several machines: tests/training/test_multihost.py"),
    ),
    (
        r"nitrogen train --config configs/nitrogen_tiny",
        Parsed("compiles for half a minute", TRAINS, ""),
    ),
    (r"nitrogen train --config configs/nitrogen_500m", Parsed(FULL)),
    (r"nitrogen train --config configs/parser_b0", Parsed("takes an hour")),
    (r"nitrogen plan ", Parsed(WORKS)),
    (r"nitrogen bench train ", Parsed("compiles three times: tests/bench does so with small ones")),
    (r"launch/sweep\.py ", Dry("trains for a while: tests/launch/test_sweep.py runs small ones")),
    (r"launch/local\.sh ", Dry("tests/launch/test_real_training.py runs it", "launch/local.sh")),
    (r"bash launch/slurm\.sbatch ", Dry("needs SLURM", "launch/slurm.sbatch")),
    (r"launch/tpu_pod\.sh ", Dry("needs a TPU", "launch/tpu_pod.sh")),
    (r"launch/gke\.sh ", Dry("needs a cluster", "launch/gke.sh")),
    (r"launch/label_ray\.sh ", Dry("needs machines", "launch/label_ray.sh")),
    # Servers.
    (r"nitrogen serve ", Parsed(RUNS_ON)),
    (
        r"nitrogen bench serve ",
        Ran(add=("--clients", "2", "--max-batch", "2", "--seconds", "0.2", "--rounds", "1")),
    ),
    (r"ssh ", Parsed("another program, and another machine")),
    # Games.
    (r"nitrogen sim list", Ran()),
    (r"nitrogen sim check ", Parsed(PLAYS, Ran(add=("--steps", "30")))),
    (r"nitrogen sim record .*--pad human", Parsed("a person plays")),
    (r"nitrogen sim record ", Parsed(PLAYS, Ran(add=("--seconds", "2")))),
    (r"nitrogen sim run ", Parsed("any program: tests/commands/test_sim_run.py runs small ones")),
    (r"nitrogen sim physics ", Parsed(PLAYS, Ran(add=("--seconds", "1"), codes=(0, 1)))),
    (r"nitrogen sim bench", Parsed(PLAYS, Ran(add=("supertux", "--steps", "20")))),
    (r"nitrogen play .*--policy tcp", Parsed("needs a server: tests/commands/test_play.py")),
    (r"nitrogen play .*--attach", Parsed("a person with a gamepad")),
    (r"nitrogen play .*--policy ng_converted", Parsed(PLAYS, Ran(NG, SHORT, ("--terminal",)))),
    (r"nitrogen play ", Parsed(FULL)),
    (r"nitrogen eval list", Ran()),
    (
        r"nitrogen eval compare (evals/ng|evals/mygame) ",
        Ran(("evals/ng", "evals/random", "evals/mygame", "evals/scratch")),
    ),
    (
        r"nitrogen eval report ",
        Ran(("evals/ng", "evals/random", "verdicts.json"), gives=("evals/ng/report.html",)),
    ),
    (r"nitrogen eval table ", Ran(("evals/ng", "evals/random"), gives=("table.md",))),
    (
        r"nitrogen eval record ",
        Parsed(PLAYS, Ran(add=("--minutes", "0.05"), codes=(0, 1)), "vizdoom"),
    ),
    (r"nitrogen eval prove ", Parsed(PLAYS, Ran(add=(), codes=(0, 1)))),
    (r"nitrogen eval tcp", Parsed("needs a server: tests/evaluation plays with one")),
    (r"nitrogen eval runs/", Parsed(FULL)),
    (r"nitrogen eval ", Parsed(PLAYS, EVALS, "vizdoom")),
)
COMMANDS = [command for path in shop_of.PAGES for command in shop_of.commands(path)]


def way_of(command: shop_of.Command) -> Ran | Dry | Parsed | Elsewhere | None:
    text = " ".join(command.text.split())
    return next((way for pattern, way in WAYS if re.match(pattern, text)), None)


def those(*kinds: type) -> list:
    """The commands with such a way, as parameters."""
    found = []
    for command in COMMANDS:
        way = way_of(command)
        if isinstance(way, kinds):
            found.append(pytest.param(command, way, id=f"{command.page}:{command.line}"))
    return found


# ---------------------------------------------------------------------------------------------
# All of them


def test_no_command_is_without_a_way():
    assert len(COMMANDS) > 60
    lost = [f"{one.page}:{one.line}: {one.text}" for one in COMMANDS if way_of(one) is None]
    assert lost == []


def test_no_way_is_without_a_command():
    texts = [" ".join(command.text.split()) for command in COMMANDS]
    stale = [pattern for pattern, _ in WAYS if not any(re.match(pattern, text) for text in texts)]
    assert stale == []


def test_the_first_two_blocks_are_the_two_commands():
    found = [one for one in shop_of.blocks(ROOT / "README.md") if one.language == "bash"][:2]
    assert [one.text for one in found] == ["./launch/quickstart.sh", "./launch/test.sh"]


def test_most_commands_are_run_by_some_test():
    ways = [way_of(command) for command in COMMANDS]
    ran = [way for way in ways if not isinstance(way, Parsed) or way.long]
    assert len(ran) > 0.6 * len(ways)


@pytest.mark.parametrize(("command", "way"), those(Elsewhere))
def test_it_is_run_elsewhere(command, way):
    assert way.words in (ROOT / way.file).read_text()
    assert command.words[0] == "nitrogen" or (ROOT / command.words[0]).is_file()


# ---------------------------------------------------------------------------------------------
# Those that run


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Training without what takes long in it."""
    if "jax" not in sys.modules:
        pytest.importorskip("jax")
    sys.path.insert(0, str(Path(__file__).parent / "data"))
    runs = shop_of.beside("training/loop_child.py")
    with runs.quick(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def run(*words: object) -> None:
    assert cli.main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return shop_of.Shop(tmp_path_factory.mktemp("shop"), run)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with the folders of the checkout, which commands are run in."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in ("configs", "launch", "tests"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    return folder


def do(command: shop_of.Command, way: Ran, shop: shop_of.Shop, here: Path) -> None:
    """Runs it as it is written, but small."""
    words = expanded(command.words, way, shop, here)
    assert cli.main(words[1:]) in way.codes
    for pattern in way.gives:
        assert list(here.glob(pattern)), f"{pattern} is not there"


def expanded(words: Sequence[str], way: Ran, shop: shop_of.Shop, here: Path) -> list[str]:
    """The words, as a shell would give them, with those of the way."""
    for module in way.modules:
        pytest.importorskip(module)
    text = " ".join(words)
    for name in way.needs:
        if name in text or "." in name:
            shop.bring(name, here)
    found: list[str] = []
    for word in words:
        if any(re.fullmatch(pattern, word) for pattern in way.without):
            continue
        found += map(str, sorted(here.glob(word))) if "*" in word else [word]
    return [word.replace(str(here) + "/", "") for word in found] + list(way.add)


@pytest.mark.parametrize(("command", "way"), those(Ran))
def test_it_runs(command, way, shop, here, quick, capsys):
    do(command, way, shop, here)


@pytest.mark.parametrize(("command", "way"), those(Dry))
def test_its_dry_run_does(command, way, here):
    words = command.words
    at = words.index(way.after) + 1 if way.after else len(words)
    words = [*words[:at], "--dry-run", *words[at:]]
    first = [sys.executable] if words[0].endswith(".py") else []
    program = ["bash"] if words[0].endswith(".sh") else []
    done = subprocess.run([*first, *program, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "nitrogen" in done.stdout


# ---------------------------------------------------------------------------------------------
# Those that are parsed


def understood(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of a `nitrogen` command, whose names of configs, games and tasks are real."""
    name, verb, *rest = words
    assert name == "nitrogen"
    assert verb in cli.VERBS
    if verb == "eval" and rest[0] not in eval_command.PARTS:
        parser = argparse.ArgumentParser()
        parser.add_argument("policy")
        eval_run.add_arguments(parser)
        args = parser.parse_args(rest)
    else:
        module_name = verb
        parser, module = cli.verb_parser(verb)
        if hasattr(module, "PARTS"):
            module_name, rest = f"{verb}_{rest[0]}".replace("-", "_"), rest[1:]
            parser, module = nested.module_parser(module_name, f"nitrogen {verb}")
        args = nested.parse(parser, module, rest)
    checked(args)
    return args


def checked(args: argparse.Namespace) -> None:
    """Names that the parser takes as they are."""
    given = vars(args)
    if given.get("config"):
        pytest.importorskip("jax")
        load(ROOT / given["config"], given.get("overrides") or ())
    for machine in (given.get("on") or "").split(",") if "on" in given else ():
        chips.target(machine)
    if isinstance(given.get("game"), str) and "policy" in given and "episodes" in given:
        catalogue.get(given["game"])
    for task in given.get("task") or ():
        tasks.get(task)
    if given.get("suite"):
        suite.chosen(given["suite"])


@pytest.mark.parametrize(("command", "way"), those(Parsed))
def test_it_is_understood(command, way):
    assert way.reason
    if command.words[0] == "nitrogen":
        understood(command.words)


@pytest.mark.parametrize(
    "line",
    [
        "nitrogen frobnicate",
        "nitrogen play --game supertux",
        "nitrogen play --game supertuks --policy ng.pt",
        "nitrogen eval ng.pt --task supertux/no-such-level",
        "nitrogen train --config configs/none.py --out x",
        "nitrogen train --config configs/nitrogen_tiny.py --out x --optimiser.rate=1",
        "nitrogen plan --config configs/nitrogen_tiny.py --on gpu:abacus:1",
        "nitrogen data build --labels x",
    ],
)
def test_a_wrong_command_would_be_noticed(line, capsys):
    with pytest.raises((SystemExit, AssertionError, NitrogenError)):
        understood(line.split())


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "way"), [one for one in those(Parsed) if one.values[1].long is not None]
)
def test_it_runs_for_longer(command, way, shop, here, quick, capsys):
    if way.game and (lacking := catalogue.get(way.game).missing()):
        pytest.skip(lacking)
    do(command, way.long, shop, here)


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, id=f"{one.page}:{one.line}")
        for one in COMMANDS
        if one.text.startswith("nitrogen serve ")
    ],
)
def test_it_serves(command, shop, here):
    pytest.importorskip("jax")
    words = ["--port", "0", *(("--http", "0") if "--http" in command.words else ())]
    way = Ran((*NG, "ng.pt"), words)
    # NOTE: a run of the README's fine-tuning is not there; the converted weights stand in for it.
    given = ["ng_converted/" if word == "runs/mygame" else word for word in command.words]
    shop.bring("ng_converted", here)
    program = [sys.executable, "-m", "nitrogen_jax.cli", *expanded(given, way, shop, here)[1:]]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("ready tcp://")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
