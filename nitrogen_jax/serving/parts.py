"""A parquet file that is written in parts, so that an interrupted job goes on where it was.

While the job runs, `<out>.parts/` holds job.json, which says what job it is, and the finished
parts; each carries a note saying how far the job was. At the end they become `<out>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path, remove

KEY = b"nitrogen_jax"  # of the JSON in the schema's metadata
_NOTE = b"nitrogen_jax.part"


class Parts:
    """The parts of one job, and the file that they become."""

    def __init__(self, out: str | Path, job: Mapping[str, Any]):
        """Nothing is touched yet.

        Args:
            out: the parquet file that the job makes.
            job: plain data; two jobs with equal data make the same file.
        """
        self.out, self.job = Path(out), dict(job)
        self.folder = self.out.with_name(f"{self.out.name}.parts")

    def begin(self, restart: bool = False) -> dict[str, Any] | None:
        """The metadata of the finished file, if the job is done already; else makes ready.

        Args:
            restart: forget what is there, whatever job made it.
        """
        if self.out.is_dir():
            raise NitrogenError(f"cannot write {self.out}: it is a folder")
        if not self.out.absolute().parent.is_dir():
            raise NitrogenError(
                f"cannot write {self.out}: the folder {self.out.absolute().parent} does not exist"
            )
        if restart:
            remove(self.folder)
        elif self.out.exists():
            metadata = read_metadata(self.out)
            self._check(self.out, metadata.get("job"))
            remove(self.folder)
            return metadata
        elif self.folder.exists():
            self._check(self.folder, _read_json(self.folder / "job.json"))
            return None
        self.folder.mkdir(exist_ok=True)
        with atomic_path(self.folder / "job.json") as temporary:
            temporary.write_text(json.dumps(self.job, indent=1) + "\n", encoding="utf-8")
        return None

    def finished(self) -> list[dict[str, Any]]:
        """The notes of the finished parts, in order."""
        paths = sorted(self.folder.glob("part-*.parquet"))
        for number, path in enumerate(paths):
            if path != self._path(number):
                raise NitrogenError(f"{self._path(number)} is missing: pass --restart")
        return [_metadata(path, _NOTE) for path in paths]

    def add(self, number: int, table: pa.Table, note: Mapping[str, Any]) -> None:
        """Writes part `number`, counted from 0."""
        table = table.replace_schema_metadata({_NOTE: json.dumps(note)})
        with atomic_path(self._path(number)) as temporary:
            pq.write_table(table, temporary)

    def merge(self, schema: pa.Schema, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The parts become the file, and their folder goes; returns the file's metadata."""
        metadata = {**metadata, "job": self.job}
        schema = schema.with_metadata({KEY: json.dumps(metadata)})
        with (
            atomic_path(self.out) as temporary,
            pq.ParquetWriter(temporary, schema) as writer,
        ):
            for number in range(len(self.finished())):
                writer.write_table(pq.read_table(self._path(number)).cast(schema))
        remove(self.folder)
        return metadata

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def _check(self, path: Path, found: Any) -> None:
        if found == self.job:
            return
        found = found if isinstance(found, Mapping) else {}
        differing = sorted(k for k in self.job.keys() | found if self.job.get(k) != found.get(k))
        raise NitrogenError(
            f"{path} belongs to another job (other {', '.join(differing)}): pass --restart to "
            "replace it, or another --out"
        )


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a finished file says about itself; empty where it is not one of ours."""
    try:
        return _metadata(Path(path), KEY)
    except NitrogenError:
        return {}


def _metadata(path: Path, key: bytes) -> dict[str, Any]:
    try:
        return json.loads((pq.read_schema(path).metadata or {})[key])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        raise NitrogenError(f"{path} cannot be read: pass --restart to begin anew") from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
