"""Event files, read back by their framing: lengths and masked CRC-32C, as TensorBoard does."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

pytest.importorskip("tensorboardX")
from tensorboardX.proto import event_pb2

from nitrogen_jax.training.tensorboard import EventFile

POLYNOMIAL = 0x82F63B78  # of CRC-32C, reflected


def masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(path: Path) -> list:
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12]) == (masked_crc(data[:8]),)
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked_crc(body),)
        events.append(event_pb2.Event.FromString(body))
        data = data[16 + length :]
    return events


def shown(folder: Path) -> dict[tuple[str, int], float]:
    """What TensorBoard shows: a file that starts at a step hides what came at or after it."""
    found = {}
    for path in sorted(folder.iterdir(), key=lambda p: read_events(p)[0].wall_time):
        for event in read_events(path):
            if event.HasField("session_log"):
                assert event.session_log.status == event_pb2.SessionLog.START
                found = {key: value for key, value in found.items() if key[1] < event.step}
            for value in event.summary.value:
                found[value.tag, event.step] = value.simple_value
    return found


def test_scalars(tmp_path):
    file = EventFile(tmp_path / "tb")
    file.scalars(10, {"train/loss": 0.5, "validation/buttons/micro_f1": 1})
    assert shown(tmp_path / "tb") == {  # before it is closed
        ("train/loss", 10): 0.5,
        ("validation/buttons/micro_f1", 10): 1.0,
    }
    file.scalars(20, {"train/loss": math.nan})
    file.close()
    assert math.isnan(shown(tmp_path / "tb")["train/loss", 20])
    (path,) = (tmp_path / "tb").iterdir()
    assert ".tfevents." in path.name
    assert read_events(path)[0].file_version == "brain.Event:2"
    assert abs(read_events(path)[1].wall_time - path.stat().st_mtime) < 60


def test_resumed(tmp_path):
    for run, (start, steps) in enumerate([(0, (5, 10, 15)), (10, (15, 20)), (20, ())]):
        file = EventFile(tmp_path, start)
        for step in steps:
            file.scalars(step, {"train/loss": run})
        file.close()
    assert len(list(tmp_path.iterdir())) == 3  # within one second too
    assert shown(tmp_path) == {
        ("train/loss", 5): 0,
        ("train/loss", 10): 0,
        ("train/loss", 15): 1,
        ("train/loss", 20): 1,
    }


def test_a_full_disk_is_warned_about_once(tmp_path, caplog):
    file = EventFile(tmp_path)
    inner = file._writer._py_recordio_writer
    with open("/dev/full", "wb", buffering=0) as full:
        real, inner._writer = inner._writer, full
        file.scalars(1, {"train/loss": 1.0})
        file.scalars(2, {"train/loss": 1.0})
        inner._writer = real
    assert caplog.text.count("training goes on") == 1
    file.close()
