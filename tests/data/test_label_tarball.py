"""Tarballs of shards: the same chunks as in folders, and what is refused."""

from __future__ import annotations

import gzip
import importlib.util
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("pyarrow")
from nitrogen_jax.data import label_tarball, label_tree
from nitrogen_jax.data.label_tree import open_tree, read_chunk
from nitrogen_jax.data.labels import LabelError

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parent / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
METADATA, RAW, PROCESSED = label_trees.METADATA, label_trees.RAW, label_trees.PROCESSED
found, content, causes = label_trees.found, label_trees.content, label_trees.causes


@pytest.fixture
def sound(tmp_path):
    return label_trees.sound_tree(tmp_path / "tree")


@pytest.fixture
def packed(sound, tmp_path):
    """The sound tree once more: a tarball for each shard."""
    folder = tmp_path / "packed"
    folder.mkdir()
    for shard in ("SHARD_0000", "SHARD_0001"):
        members = [m for m in label_trees.members(sound) if f"/{shard}/" in m[0]]
        label_trees.tarball(folder / f"{shard}.tar.gz", members)
    return folder


def test_tarballs_are_the_same_as_folders(sound, packed):
    tree = open_tree(packed)
    assert content(tree) == content(open_tree(sound))
    assert tree.faults == []
    one = content(open_tree(packed / "SHARD_0001.tar.gz"))
    assert one == content(open_tree(sound / "actions/SHARD_0001"))


@pytest.mark.parametrize("ending", [".tar", ".tgz", ".tar.gz"])
@pytest.mark.parametrize("prefix", ["", "./", "actions/", "./actions/", "a/b/actions/"])
def test_endings_and_prefixes(sound, tmp_path, ending, prefix):
    members = [(prefix + n.removeprefix("actions/"), d) for n, d in label_trees.members(sound)]
    path = label_trees.tarball(tmp_path / f"x{ending}", members)
    assert content(open_tree(path)) == content(open_tree(sound))


def test_without_a_shards_folder_the_tarball_names_the_shard(sound, tmp_path):
    members = [
        (name.removeprefix("actions/SHARD_0000/"), data)
        for name, data in label_trees.members(sound)
        if "SHARD_0000" in name
    ]
    path = label_trees.tarball(tmp_path / "SHARD_0000.tar.gz", members)
    assert content(open_tree(path)) == content(open_tree(sound / "actions/SHARD_0000"))


def test_a_tarball_with_folders_as_tar_makes_it(sound, tmp_path):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(sound / "actions", "actions")
    tree = open_tree(tmp_path / "x.tar.gz")
    assert content(tree) == content(open_tree(sound))
    assert tree.faults == []


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_members_of_a_chunk_in_any_order(tmp_path_factory, drawn: random.Random):
    folder = tmp_path_factory.mktemp("tree")
    label_trees.sound_tree(folder, shards=1)
    members = label_trees.members(folder)
    chunks = sorted({name.rpartition("/")[0] for name, _ in members})
    drawn.shuffle(chunks)
    shuffled = []
    for chunk in chunks:
        own = [member for member in members if member[0].rpartition("/")[0] == chunk]
        drawn.shuffle(own)
        shuffled += own
    path = label_trees.tarball(folder / "x.tar.gz", shuffled)
    tree = open_tree(path)
    assert content(tree) == content(open_tree(folder))
    assert [raw.ref.name for raw in tree.scan()] == [chunk.rpartition("/")[2] for chunk in chunks]
    assert tree.faults == []


def test_members_that_lie_apart_are_reported(sound, tmp_path):
    members = label_trees.members(sound)[:4]  # two files of a first chunk, two of a second
    first, second, third, fourth = members
    path = label_trees.tarball(tmp_path / "x.tar", [first, third, second, fourth])
    tree = open_tree(path)
    assert len(found(tree)) == 2
    assert causes(tree) == ["member_scattered", "member_scattered"]


def test_a_member_twice(tmp_path):
    label_trees.write(tmp_path, label_trees.files(game="first"))
    members = label_trees.members(tmp_path)
    (name, _) = members[-1]
    members.append((name, label_trees.files(game="last")[METADATA]))
    tree = open_tree(label_trees.tarball(tmp_path / "x.tar", members))
    (raw,) = tree.scan()
    assert read_chunk(raw)[0].game == "last"
    assert causes(tree) == ["member_twice"]


def test_metadata_alone_and_some_videos(packed):
    tree = open_tree(packed)
    chunks = list(tree.scan(videos={"video-10"}, tables=False))
    assert [raw.ref.video_id for raw in chunks] == ["video-10"] * 3
    assert PROCESSED in chunks[1].files
    assert label_tree.read_metadata(chunks[1]).video.video_id == "video-10"
    with pytest.raises(LabelError, match="was left unread"):
        read_chunk(chunks[1])


def test_progress_adds_up_to_the_size(sound, packed):
    for path, unit in ((sound, "chunks"), (packed, "bytes")):
        tree, told = open_tree(path), []
        assert tree.size_unit == unit
        for _ in tree.scan(advance=told.append):
            pass
        assert sum(told) == tree.size() > 0
        assert len(told) > 1


def test_a_tarball_beside_its_unpacked_shard_is_not_counted_again(sound, packed):
    path = packed / "SHARD_0000.tar.gz"
    path = path.rename(sound / "actions" / path.name)
    tree = open_tree(sound)
    assert len(found(tree)) == 12
    assert causes(tree) == ["shard_twice"]
    alone = open_tree(path)  # unless it is asked for
    assert len(found(alone)) == 6
    assert alone.faults == []


UNSAFE = ["/etc/vid/vid_chunk_0000/metadata.json", "../vid/vid_chunk_0000/metadata.json"]


@pytest.mark.parametrize("name", [*UNSAFE, "a/../../vid/vid_chunk_0000/metadata.json"])
def test_members_that_point_outside(sound, tmp_path, name):
    members = [(name, b"{}"), *label_trees.members(sound)]
    tree = open_tree(label_trees.tarball(tmp_path / "x.tar.gz", members))
    assert content(tree) == content(open_tree(sound))
    assert causes(tree) == ["member_unsafe"]
    assert name in tree.faults[0].message


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_members_that_are_no_files(sound, tmp_path, kind):
    members = label_trees.members(sound)
    odd = tarfile.TarInfo(members[0][0].replace("video-00", "video-99"))
    odd.type, odd.linkname = kind, "/etc/passwd"
    tree = open_tree(label_trees.tarball(tmp_path / "x.tar.gz", [*members, (odd, b"")]))
    assert content(tree) == content(open_tree(sound))
    assert causes(tree) == ["member_unsafe"]


def test_members_that_do_not_belong(sound, tmp_path):
    others = [("README.md", b"x"), ("metadata.json", b"{}"), ("a/b/c/d.txt", b"")]
    members = others + label_trees.members(sound)
    tree = open_tree(label_trees.tarball(tmp_path / "x.tar.gz", members))
    assert content(tree) == content(open_tree(sound))
    assert causes(tree) == ["unexpected_file"] * 3


def test_members_that_are_too_large(tmp_path, monkeypatch):
    label_trees.write(tmp_path, label_trees.files())
    path = label_trees.tarball(tmp_path / "x.tar.gz", label_trees.members(tmp_path))
    monkeypatch.setitem(label_tarball.LIMITS, RAW, 10)
    tree = open_tree(path)
    (raw,) = tree.scan()
    with pytest.raises(LabelError, match="where 10 are the most") as caught:
        read_chunk(raw)
    assert caught.value.cause == "too_large"
    assert causes(tree) == ["too_large"]


def test_a_header_that_is_too_long_is_damage(sound, tmp_path):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        odd = tarfile.TarInfo("a/b/metadata.json")
        odd.pax_headers = {"comment": "x" * (label_tarball.MAX_HEADER + 1)}
        tar.addfile(odd)
    tree = open_tree(path)
    assert found(tree) == []
    assert causes(tree) == ["shard_unreadable"]


@pytest.mark.parametrize("packing", ["tar", "tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_tarball(sound, packed, tmp_path, packing, share):
    data = (packed / "SHARD_0000.tar.gz").read_bytes()
    data = data if packing == "tar.gz" else gzip.decompress(data)
    # NOTE: a tar ends in padding, which nobody misses.
    end = len(data) if packing == "tar.gz" else len(data.rstrip(b"\0"))
    damaged = packed / f"SHARD_0000.{packing}"
    (packed / "SHARD_0000.tar.gz").unlink()
    damaged.write_bytes(data[: int(share * end)])
    tree = open_tree(packed)
    read, whole = content(tree), content(open_tree(sound))
    assert causes(tree) == ["shard_unreadable"]
    assert str(damaged) in tree.faults[0].message
    # What came before the damage, and all of the other shard.
    assert read.items() < whole.items()
    assert sum(shard == "SHARD_0001" for shard, _, _ in read) == 6
    if share == 0.95:
        assert any(shard == "SHARD_0000" for shard, _, _ in read)
    # Alone it is opened all the same, so that somebody can report it.
    assert causes_of_scan(open_tree(damaged)) == ["shard_unreadable"]


def causes_of_scan(tree):
    list(tree.scan())
    return causes(tree)


def test_a_truncated_chunk_is_not_read_from_its_other_table(tmp_path):
    label_trees.write(tmp_path, label_trees.files(processed=True))
    members = dict(label_trees.members(tmp_path))
    ordered = sorted(members.items(), key=lambda item: PROCESSED in item[0])
    path = label_trees.tarball(tmp_path / "x.tar", ordered)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"actions_processed") + 600])
    tree = open_tree(path)
    assert found(tree) == []
    assert causes(tree) == ["shard_unreadable"]


def test_garbage_after_a_member(sound, packed):
    data = bytearray(gzip.decompress((packed / "SHARD_0000.tar.gz").read_bytes()))
    at = data.index(b"ustar", 1000) - 257
    data[at : at + 512] = b"\x55" * 512  # a header
    (packed / "SHARD_0000.tar.gz").write_bytes(gzip.compress(bytes(data)))
    tree = open_tree(packed)
    assert content(tree).items() < content(open_tree(sound)).items()
    assert causes(tree) == ["shard_unreadable"]


def test_a_wrong_checksum_is_noticed(packed):
    path = packed / "SHARD_0000.tar.gz"
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # of the checksum and the size, which are last
    path.write_bytes(data)
    tree = open_tree(path)
    assert len(found(tree)) >= 5
    assert causes(tree) == ["shard_unreadable"]


def test_what_is_no_tarball(packed):
    (packed / "SHARD_0002.tar.gz").write_bytes(b"no tarball at all")
    (packed / "SHARD_0003.tar").write_bytes(b"\1" * 5000)
    tree = open_tree(packed)
    assert len(found(tree)) == 12
    assert causes(tree) == ["shard_unreadable"] * 2


def test_a_tarball_without_a_chunk(tmp_path):
    path = label_trees.tarball(tmp_path / "x.tar.gz", [("README.md", b"")])
    with pytest.raises(NitrogenError, match="holds no chunk"):
        open_tree(path)


@settings(max_examples=40)
@given(st.data())
def test_a_damaged_tarball_raises_nothing(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("tree")
    label_trees.sound_tree(folder, shards=1, videos=1)
    path = label_trees.tarball(folder / "x.tar", label_trees.members(folder))
    tar = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 30))):
        tar[data.draw(st.integers(0, len(tar) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(gzip.compress(bytes(tar)) if data.draw(st.booleans()) else bytes(tar))
    try:
        tree = open_tree(path)
    except NitrogenError:
        return
    for raw in tree.scan():
        try:
            read_chunk(raw)
        except NitrogenError as error:
            assert str(error).isprintable()  # noqa: PT017
    assert all(fault.message.isprintable() for fault in tree.faults)
