"""Corrections into a tree: checked first, atomic, once, and with the originals kept."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("av")
from nitrogen_jax.data.label_check import check_tree
from nitrogen_jax.data.label_tree import open_tree, read_chunk
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import review_apply, review_chunks
from nitrogen_jax.labeling.review_corrections import Corrections, Edit

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parents[1] / "data" / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
RAW, PROCESSED = label_trees.RAW, label_trees.PROCESSED
CHUNK = "actions/SHARD_0000/vid/vid_chunk_0000"
KEPT = "corrections/SHARD_0000/vid/vid_chunk_0000"
EDITS = (Edit(2, 5, {"SOUTH": True}), Edit(4, 6, {"NORTH": True}, {"j_left": (0.5, -1.0)}))


@pytest.fixture
def tree(tmp_path):
    """Two chunks whose tables have no button pressed; the first has both tables, alike."""
    columns = label_trees.columns() | {name: [False] * 8 for name in label_trees.BUTTONS}
    both = {RAW: label_trees.table(columns), PROCESSED: label_trees.table(columns)}
    label_trees.write(tmp_path, label_trees.files() | both)
    label_trees.write(tmp_path, label_trees.files(chunk=1), chunk=1)
    return tmp_path


def corrections(root, number=0, edits=EDITS, **changes):
    raws = review_chunks.select(open_tree(root), "vid")["vid"]
    read = review_chunks.read(raws[number], review_chunks.fingerprint(raws))
    made = Corrections(read.tree, "vid", read.chunk_id, read.table, tuple(edits))
    return dataclasses.replace(made, **changes)


def apply(root, *wanted, **options):
    files = [(f"{index}.json", one) for index, one in enumerate(wanted)]
    changes = review_apply.plan(root, files, **options)
    review_apply.carry_out(changes)
    return changes


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_both_tables_and_what_is_kept(tree):
    before, wanted = contents(tree), corrections(tree)
    (change,) = apply(tree, wanted)
    after = contents(tree)
    changed = {name for name in after if after[name] != before.get(name)}
    tables = {f"{CHUNK}/{RAW}", f"{CHUNK}/{PROCESSED}"}
    kept = {f"{KEPT}/{RAW}", f"{KEPT}/{PROCESSED}"}
    assert changed == {*tables, *kept, f"{KEPT}/log.json"}
    assert {after[name] for name in kept} == {before[f"{CHUNK}/{RAW}"]}
    assert {name: dict(cells) for name, cells in change.cells.items()} == {
        name: {"south": (2, 3, 4), "north": (4, 5), "j_left": (4, 5)} for name in (RAW, PROCESSED)
    }
    log = json.loads(after[f"{KEPT}/log.json"])
    assert [entry["corrections"] for entry in log] == [wanted.digest]
    assert log[0]["edits"][0] == {"from": 2, "to": 5, "buttons": {"SOUTH": True}}
    assert not list(check_tree(open_tree(tree)))


def test_planning_writes_nothing(tree):
    before = contents(tree)
    (change,) = review_apply.plan(tree, [("c", corrections(tree))])
    assert change.after
    assert contents(tree) == before


def test_twice_is_once(tree):
    wanted = corrections(tree)
    apply(tree, wanted)
    before = contents(tree)
    (change,) = apply(tree, wanted)
    assert change.applied
    assert contents(tree) == before


def test_later_corrections_go_on_top(tree):
    original = (tree / CHUNK / RAW).read_bytes()
    first = corrections(tree)
    apply(tree, first)
    second = corrections(tree, edits=[Edit(0, 1, {"START": True})])
    apply(tree, second)
    assert len(json.loads((tree / KEPT / "log.json").read_bytes())) == 2
    assert (tree / KEPT / RAW).read_bytes() == original
    before = contents(tree)
    assert [change.applied for one in (first, second) for change in apply(tree, one)] == [True] * 2
    assert contents(tree) == before
    with pytest.raises(NitrogenError, match="changed since the review"):
        apply(tree, corrections(tree, edits=EDITS[1:], table=first.table))


@pytest.mark.parametrize("stop", range(5))
def test_the_same_call_goes_on_where_it_was_stopped(tree, tmp_path_factory, monkeypatch, stop):
    wanted = corrections(tree)
    whole = tmp_path_factory.mktemp("whole") / "tree"
    (tree / "actions").rename(whole.parent / "kept")
    for root in (whole, tree):
        root.mkdir(exist_ok=True)
        for name, data in contents(whole.parent / "kept").items():
            path = root / "actions" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    apply(whole, wanted)
    write, left = review_apply._write, iter(range(stop))

    def stopping(path, data):
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(review_apply, "_write", stopping)
    with pytest.raises(KeyboardInterrupt):
        apply(tree, wanted)
    monkeypatch.undo()
    apply(tree, wanted)
    found, should = contents(tree), contents(whole)
    logs = [json.loads(one.pop(f"{KEPT}/log.json")) for one in (found, should)]
    assert found == should
    assert [[entry["corrections"] for entry in log] for log in logs] == [[wanted.digest]] * 2
    assert apply(tree, wanted)[0].applied


def test_not_valid_is_no_confidence(tree):
    apply(tree, corrections(tree, 1, [Edit(3, 8, valid=False), Edit(4, 5, valid=True)]))
    raw = next(raw for raw in open_tree(tree).scan() if raw.ref.name == "vid_chunk_0001")
    assert read_chunk(raw)[1].confidence.tolist() == [1, 1, 1, 0, 1, 0, 0, 0]


def test_nothing_to_do_writes_nothing(tree):
    before = contents(tree)
    edits = [Edit(0, 8, {"SOUTH": False}, valid=True)]
    (change,) = apply(tree, corrections(tree, edits=edits))
    assert change.applied
    assert contents(tree) == before


def test_a_remap_table(tree):
    pairs = {"Some Game": (("EAST", "SOUTH"), ("SOUTH", "EAST"))}
    (change,) = apply(tree, corrections(tree, edits=EDITS[:1]), remap=pairs)
    assert {name: dict(cells) for name, cells in change.cells.items()} == {
        RAW: {"south": (2, 3, 4)},
        PROCESSED: {"east": (2, 3, 4)},
    }


def test_a_processed_table_of_others(tree):
    other = label_trees.table(label_trees.columns(seed=5))
    (tree / CHUNK / PROCESSED).write_bytes(other)
    wanted = corrections(tree)
    with pytest.raises(NitrogenError, match="--remap, or leave it as it is with --raw-only"):
        apply(tree, wanted)
    (change,) = apply(tree, wanted, raw_only=True)
    assert set(change.after) == {RAW}
    assert (tree / CHUNK / PROCESSED).read_bytes() == other


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"video_id": "other"}, "which .* does not hold"),
        ({"chunk_id": "vid_chunk_0009"}, "chunk vid_chunk_0009 of video vid, which"),
        ({"tree": "0" * 64}, "another label tree"),
        ({"table": "0" * 64}, "has changed since the review"),
        ({"edits": (Edit(0, 9, {"SOUTH": True}),)}, "rows 0 to 9, where the chunk has 8"),
    ],
)
def test_refused_and_nothing_is_written(tree, changes, says):
    before = contents(tree)
    good = corrections(tree, 1)
    with pytest.raises(NitrogenError, match=says):
        apply(tree, good, corrections(tree, **changes))
    assert contents(tree) == before


def test_two_files_of_one_chunk(tree):
    with pytest.raises(NitrogenError, match=r"0.json and .*correct the same chunk"):
        apply(tree, corrections(tree), corrections(tree, edits=EDITS[:1]))


def test_a_broken_log(tree):
    wanted = corrections(tree)
    apply(tree, wanted)
    (tree / KEPT / "log.json").write_text("[{}]")
    with pytest.raises(NitrogenError, match="is not the log"):
        apply(tree, wanted)


def test_where_a_tree_begins(tree):
    assert review_apply.tree_root(tree) == tree
    assert review_apply.tree_root(tree / "actions") == tree
    for path in (tree / CHUNK, tree / "nothing"):
        with pytest.raises(NitrogenError, match="the folder that holds actions/"):
            review_apply.tree_root(path)
