"""Reading the lumps of WAD files."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.wad import lumps

names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=8)


def written(content: list[tuple[str, bytes]], kind: bytes = b"PWAD") -> bytes:
    body, entries = b"", b""
    for name, data in content:
        entries += struct.pack("<ii8s", 12 + len(body), len(data), name.encode())
        body += data
    return struct.pack("<4sii", kind, len(content), 12 + len(body)) + body + entries


@given(st.lists(st.tuples(names, st.binary(max_size=40)), max_size=6))
def test_what_was_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("wad") / "a.wad"
    path.write_bytes(written(content))
    assert lumps(path) == content


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not whole"),
        (written([("MAP01", b"abc")])[:-3], "not whole"),
        (written([("MAP01", b"abc")], b"RIFF"), "begins with b'RIFF'"),
    ],
)
def test_other_files_are_told_of(tmp_path, data, what):
    path = tmp_path / "a.wad"
    path.write_bytes(data)
    with pytest.raises(NitrogenError, match=what):
        lumps(path)
