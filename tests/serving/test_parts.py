"""A file made in parts: whole or not there, and never a mixture of two jobs."""

from __future__ import annotations

import pytest

from nitrogen_jax.errors import NitrogenError

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

from nitrogen_jax.serving import parts as module  # noqa: E402
from nitrogen_jax.serving.parts import Parts, read_metadata  # noqa: E402

SCHEMA = pa.schema({"x": pa.int64()})
JOB = {"seed": 0, "inputs": "abc"}


def table(*values):
    return pa.table({"x": list(values)}, SCHEMA)


def values(path):
    return pq.read_table(path)["x"].to_pylist()


def test_parts_become_one_file(tmp_path):
    parts = Parts(tmp_path / "out.parquet", JOB)
    assert parts.begin() is None
    assert parts.finished() == []
    parts.add(0, table(1, 2), {"after": 2})
    parts.add(1, table(3), {"after": 3})
    assert parts.finished() == [{"after": 2}, {"after": 3}]
    parts.merge(SCHEMA, {"examples": 3})
    assert values(parts.out) == [1, 2, 3]
    assert read_metadata(parts.out) == {"examples": 3, "job": JOB}
    assert pq.read_schema(parts.out).remove_metadata() == SCHEMA
    assert list(tmp_path.iterdir()) == [parts.out]


def test_no_part_makes_an_empty_file(tmp_path):
    parts = Parts(tmp_path / "out.parquet", JOB)
    parts.begin()
    parts.merge(SCHEMA, {})
    assert values(parts.out) == []


def test_a_finished_job_is_recognised(tmp_path):
    parts = Parts(tmp_path / "out.parquet", JOB)
    parts.begin()
    parts.merge(SCHEMA, {"examples": 0})
    parts.folder.mkdir()  # as if it had been killed before it could tidy up
    assert Parts(parts.out, JOB).begin() == {"examples": 0, "job": JOB}
    assert list(tmp_path.iterdir()) == [parts.out]


def test_another_job_is_refused_and_restart_begins_anew(tmp_path):
    other = {**JOB, "seed": 1, "steps": 4}
    parts = Parts(tmp_path / "out.parquet", JOB)
    parts.begin()
    parts.add(0, table(1), {})
    with pytest.raises(NitrogenError, match=r"other seed, steps\): pass --restart"):
        Parts(parts.out, other).begin()
    assert parts.finished() == [{}]
    again = Parts(parts.out, other)
    assert again.begin(restart=True) is None
    assert again.finished() == []
    again.merge(SCHEMA, {})
    with pytest.raises(NitrogenError, match=r"out\.parquet belongs to another job"):
        Parts(parts.out, JOB).begin()
    # the old file stays until the new one is complete
    anew = Parts(parts.out, JOB)
    assert anew.begin(restart=True) is None
    assert read_metadata(parts.out)["job"] == other
    anew.merge(SCHEMA, {})
    assert read_metadata(parts.out)["job"] == JOB


@pytest.mark.parametrize("content", [b"", b"somebody's notes", None])
def test_a_file_of_somebody_else_is_refused(tmp_path, content):
    path = tmp_path / "out.parquet"
    if content is None:
        pq.write_table(table(1), path)
    else:
        path.write_bytes(content)
    with pytest.raises(NitrogenError, match="belongs to another job"):
        Parts(path, JOB).begin()
    assert path.exists()


def test_places_that_cannot_be(tmp_path):
    with pytest.raises(NitrogenError, match="is a folder"):
        Parts(tmp_path, JOB).begin()
    with pytest.raises(NitrogenError, match=r"nowhere does not exist"):
        Parts(tmp_path / "nowhere" / "out.parquet", JOB).begin()


def test_a_missing_or_broken_part_is_noticed(tmp_path):
    parts = Parts(tmp_path / "out.parquet", JOB)
    parts.begin()
    parts.add(0, table(1), {})
    parts.add(1, table(1), {})
    (parts.folder / "part-000000.parquet").unlink()
    with pytest.raises(NitrogenError, match=r"part-000000\.parquet is missing"):
        parts.finished()
    (parts.folder / "part-000000.parquet").write_bytes(b"half")
    with pytest.raises(NitrogenError, match="cannot be read"):
        parts.finished()


def test_half_a_part_does_not_count(tmp_path, monkeypatch):
    def half(_, path):
        path.write_bytes(b"PAR1 half")
        raise KeyboardInterrupt

    parts = Parts(tmp_path / "out.parquet", JOB)
    parts.begin()
    monkeypatch.setattr(module.pq, "write_table", half)
    with pytest.raises(KeyboardInterrupt):
        parts.add(0, table(1), {})
    assert parts.finished() == []
    assert [path.name for path in parts.folder.iterdir()] == ["job.json"]
