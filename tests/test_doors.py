"""Who may import whom: read from the source, so that nothing needs to be installed or run.

An import counts wherever it stands in a file, also inside a function, unless a rule speaks of the
top level. Imports for type checkers alone (`if TYPE_CHECKING:`) do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import nitrogen_jax
from nitrogen_jax.extras import EXTRAS

OURS = "nitrogen_jax"
TORCH = {"torch", "torchvision", "transformers"}
JAX = {"jax", "jaxlib", "flax", "optax", "orbax", "grain", "tensorflow_datasets", "tensorflow"}
TORCH_ROOM = "bench.torch_reference"  # and this file is imported inside functions only


@dataclass
class Module:
    """One file: the names of all it imports, full names for ours, top-level ones for others."""

    everywhere: set[str] = field(default_factory=set)
    at_the_top: set[str] = field(default_factory=set)


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def import_nodes(node: ast.AST, lazy: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import below `node`, and whether it waits inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, lazy
        elif is_for_type_checkers(child):
            for other in child.orelse:
                yield from import_nodes(ast.Module([other], []), lazy)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from import_nodes(child, lazy or inside)


def imported_names(node: ast.stmt, package: str) -> Iterator[str]:
    """The modules that an import statement of a file in `package` may load."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, *filter(None, [base])])
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)


def read_package(folder: Path) -> dict[str, Module]:
    """Module name (without the package's own) -> what it imports; a folder is its __init__."""
    files = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    modules = {}
    for name, path in files.items():
        module = modules[name] = Module()
        full = f"{OURS}.{name}".rstrip(".")
        package = full if path.name == "__init__.py" else full.rpartition(".")[0]
        for node, lazy in import_nodes(ast.parse(path.read_text())):
            for imported in imported_names(node, package):
                found = resolve(imported, files)
                module.everywhere |= found
                if not lazy:
                    module.at_the_top |= found
    return modules


def resolve(imported: str, files: Iterable[str]) -> set[str]:
    """Ours as ".name" of every file that Python runs for it, anybody else's as its top name."""
    top, _, rest = imported.partition(".")
    if top != OURS:
        return {top}
    parts = rest.split(".") if rest else []
    names = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return {f".{name}" for name in names if name in files}


def reach(modules: dict[str, Module], start: str, top_only: bool = False) -> dict[str, list[str]]:
    """Everything that loading `start` loads -> the chain of our modules that leads there."""
    parents = [".".join(start.split(".")[:length]) for length in range(1, start.count(".") + 1)]
    waiting = [(name, [start, name] if name != start else [start]) for name in [start, *parents]]
    chains: dict[str, list[str]] = {}
    seen = set()
    while waiting:
        name, chain = waiting.pop(0)
        if name in seen or name not in modules:
            continue
        seen.add(name)
        module = modules[name]
        for imported in sorted(module.at_the_top if top_only else module.everywhere):
            chains.setdefault(imported, [*chain, imported])
            if imported.startswith("."):
                waiting.append((imported[1:], [*chain, imported[1:]]))
    return chains


def within(name: str, *rooms: str) -> bool:
    """Is the module one of these, or inside one of these packages?"""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def broken_rules(modules: dict[str, Module]) -> list[str]:
    """One sentence for every import that goes through a wrong door."""
    found = []

    def ours_only(name: str, *allowed: str) -> None:
        for imported in sorted(modules[name].everywhere):
            if imported.startswith(".") and not within(imported[1:], *allowed):
                found.append(f"{name} imports {imported[1:]}")

    for name, module in modules.items():
        if name == "gamepad":
            ours_only(name, "errors")
        if within(name, "models", "flow"):
            ours_only(name, "models", "flow", "errors", "gamepad")
        if within(name, "sim", "play") or name.startswith("serving.client"):
            chains = reach(modules, name)
            for library in sorted((JAX | TORCH) & chains.keys()):
                found.append(f"{name} loads {library}: {' -> '.join(chains[library])}")
        if within(name, "evaluation"):
            # A checkpoint may be served from here; all else plays without JAX.
            chains = reach(modules, name, top_only=True)
            for library in sorted((JAX | TORCH) & chains.keys()):
                found.append(f"{name} loads {library} at once: {' -> '.join(chains[library])}")
        if name not in (TORCH_ROOM, "bench.torch_layers"):
            for library in sorted(module.everywhere & TORCH):
                found.append(f"{name} imports {library}")
            if f".{TORCH_ROOM}" in module.at_the_top:
                found.append(f"{name} imports {TORCH_ROOM} at once")
        if within(name, "commands", "cli"):
            chains = reach(modules, name, top_only=True)
            for library in sorted(SLOW & chains.keys()):
                found.append(f"{name} loads {library} at once: {' -> '.join(chains[library])}")
    return found


# What a verb may load only when it runs: the help must come without extras, and at once.
SLOW = {module for modules in EXTRAS.values() for module in modules} | JAX | TORCH | {"cv2"}


@pytest.fixture(scope="module")
def package() -> dict[str, Module]:
    return read_package(Path(nitrogen_jax.__file__).parent)


def test_every_door_is_respected(package):
    assert {"flow", "gamepad", "cli", "commands.doctor", "models.siglip2"} <= package.keys()
    assert broken_rules(package) == []


def test_the_package_is_read_in_full(package):
    assert "jax" in package["flow"].at_the_top
    assert ".errors" in package["cli"].at_the_top
    assert "rich" in package["terminal"].everywhere - package["terminal"].at_the_top


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"gamepad.py": "from nitrogen_jax import files"}, "gamepad imports files"),
        ({"gamepad.py": "def f():\n    import nitrogen_jax.files"}, "gamepad imports files"),
        ({"models/dit.py": "from ..data import video"}, "models.dit imports data"),
        ({"flow.py": "from nitrogen_jax.data.video import read"}, "flow imports data.video"),
        ({"sim/env.py": "import jax.numpy as jnp"}, "sim.env loads jax: sim.env -> jax"),
        (
            {"evaluation/worker.py": "import jax"},
            "evaluation.worker loads jax at once: evaluation.worker -> jax",
        ),
        ({"play/loop.py": "def f():\n    import jax"}, "play.loop loads jax: play.loop -> jax"),
        (
            {"sim/env.py": "from nitrogen_jax import helper", "helper.py": "import flax"},
            "sim.env loads flax: sim.env -> helper -> flax",
        ),
        (
            {"serving/client.py": "", "serving/__init__.py": "from . import agent"}
            | {"serving/agent.py": "def f():\n    from jax import jit"},
            "serving.client loads jax: serving.client -> serving -> serving.agent -> jax",
        ),
        ({"weights/pt.py": "def f():\n    import torch"}, "weights.pt imports torch"),
        (
            {"bench/torch_reference.py": "import torch"}
            | {"bench/speed.py": "from nitrogen_jax.bench import torch_reference"},
            "bench.speed imports bench.torch_reference at once",
        ),
        ({"commands/fly.py": "import cv2"}, "commands.fly loads cv2 at once: commands.fly -> cv2"),
        (
            {"commands/fly.py": "from nitrogen_jax.data import video", "data/video.py": ""}
            | {"data/__init__.py": "try:\n    import av\nexcept ImportError:\n    av = None"},
            "commands.fly loads av at once: commands.fly -> data -> av",
        ),
    ],
)
def test_a_wrong_door_is_found(tmp_path, files, complaint):
    defaults = {"files.py": "", "data/__init__.py": "", "data/video.py": ""}
    assert complaint in broken_rules(read_package(write(tmp_path, defaults | files)))


@pytest.mark.parametrize(
    "files",
    [
        {"gamepad.py": "import numpy\nfrom nitrogen_jax.errors import NitrogenError"},
        {"models/dit.py": "import jax\nfrom nitrogen_jax.models import blocks"}
        | {"models/blocks.py": "from . import configs", "models/configs.py": ""},
        {"bench/torch_reference.py": "import torch", "bench/__init__.py": ""}
        | {"bench/speed.py": "def f():\n    from nitrogen_jax.bench import torch_reference"},
        {"commands/fly.py": "def run(args):\n    import jax"},
        {"commands/fly.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import jax"},
        {"serving/server.py": "import jax"},
    ],
)
def test_a_right_door_is_left_alone(tmp_path, files):
    assert broken_rules(read_package(write(tmp_path, {"errors.py": ""} | files))) == []


def write(folder: Path, files: dict[str, str]) -> Path:
    """Writes a small package and returns its folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
