"""`nitrogen label apply`: exit codes, what is printed, and a tree that stays valid."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("av")
pytest.importorskip("pyarrow")
from nitrogen_jax import cli
from nitrogen_jax.data.demo import make_demo
from nitrogen_jax.data.label_tree import open_tree, read_chunk
from nitrogen_jax.gamepad import BUTTON_INDEX
from nitrogen_jax.labeling import review_chunks
from nitrogen_jax.labeling.review_corrections import Corrections, Edit, to_json

CHUNK = "demo-0-00_chunk_0000"


@pytest.fixture
def tree(tmp_path):
    make_demo(tmp_path / "demo", videos=1, seconds=2, rate=10, chunk_seconds=1, leave_out=[0])
    return tmp_path / "demo/labels"


@pytest.fixture
def file(tree, tmp_path):
    """Corrections of the first chunk, which has both tables: Guide in rows 2 and 3."""
    raws = review_chunks.select(open_tree(tree))["demo-0-00"]
    read = review_chunks.read(raws[0], review_chunks.fingerprint(raws))
    edits = (Edit(2, 4, {"GUIDE": True}), Edit(9, 10, valid=False))
    path = tmp_path / "c.json"
    made = Corrections(read.tree, read.video_id, read.chunk_id, read.table, edits)
    path.write_text(json.dumps(to_json(made)))
    return path


@pytest.fixture
def apply(capsys):
    """Runs the command: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = cli.main(["label", "apply", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def actions(tree, prefer):
    raw = next(raw for raw in open_tree(tree).scan() if raw.ref.name == CHUNK)
    return read_chunk(raw, prefer)[1]


def test_applied_once(apply, tree, file, capsys):
    before = actions(tree, "raw")
    code, out, error = apply(tree, file)
    assert (code, error) == (0, "")
    assert "changed in" in out
    assert "2-3" in out
    guide = BUTTON_INDEX["GUIDE"]
    for kind in ("raw", "processed"):
        after = actions(tree, kind)
        assert after.actions[:, guide].tolist() == [0, 0, 1, 1] + [0] * 6
        assert after.confidence.tolist() == [1] * 9 + [0]
    after = actions(tree, "raw").actions
    after[2:4, guide] = 0
    assert (after == before.actions).all()
    assert cli.main(["data", "validate", str(tree)]) == 0
    capsys.readouterr()
    state = contents(tree)
    code, out, _ = apply(tree, file)
    assert code == 0
    assert "nothing to do" in out
    assert contents(tree) == state
    assert apply(tree, file, "--dry-run")[0] == 0


def test_dry_run_and_json(apply, tree, file):
    before = contents(tree)
    code, out, _ = apply(tree, file, "--dry-run")
    assert code == 1
    assert "would change in" in out
    code, out, _ = apply(tree, file, "--dry-run", "--json")
    assert code == 1
    assert contents(tree) == before
    report = json.loads(out)
    assert report["dry_run"] is True
    (chunk,) = report["chunks"]
    assert chunk["changed"] is True
    assert chunk["cells"]["actions_raw.parquet"] == {"guide": [2, 3], "confidence": [9]}
    code, out, _ = apply(tree, file, "--json", "--raw-only")
    assert code == 0
    assert set(json.loads(out)["chunks"][0]["cells"]) == {"actions_raw.parquet"}


def test_a_remap_table(apply, tree, file, tmp_path):
    remap = tmp_path / "remap.json"
    game = next(read_chunk(raw)[0].game for raw in open_tree(tree).scan())
    remap.write_text(json.dumps({game: {"GUIDE": "BACK", "BACK": "GUIDE"}}))
    code, out, _ = apply(tree, file, "--remap", remap, "--json")
    assert code == 0
    cells = json.loads(out)["chunks"][0]["cells"]
    assert cells["actions_processed.parquet"]["back"] == [2, 3]
    assert cells["actions_raw.parquet"]["guide"] == [2, 3]


def test_refused(apply, tree, file, tmp_path):
    before = contents(tree)
    other = tmp_path / "other.json"
    other.write_text(file.read_text().replace(CHUNK, "demo-0-00_chunk_0077"))
    for arguments, says in [
        ([tree, file, other], "does not hold"),
        ([tree, tmp_path / "gone.json"], "gone.json cannot be read"),
        ([tree, tmp_path], "cannot be read"),
        ([tree / "actions/SHARD_0000", file], "the folder that holds actions/ is needed"),
        ([tree, file, file], "correct the same chunk"),
    ]:
        code, out, error = apply(*arguments)
        assert (code, out) == (2, "")
        assert says in error
        assert "Traceback" not in error
    assert contents(tree) == before
