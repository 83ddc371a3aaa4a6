"""Which back end JAX shall look for, said before it is imported."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import MutableMapping
from pathlib import Path


def settle(environment: MutableMapping[str, str] = os.environ, root: Path = Path("/dev")) -> None:
    """Names the CPU where libtpu is installed (to compile for TPUs) and no TPU is there.

    NOTE: JAX would try the TPU first, write pages of errors and ask a metadata server that does
    not answer. Whoever sets JAX_PLATFORMS decides.
    """
    if importlib.util.find_spec("libtpu") is None or "JAX_PLATFORMS" in environment:
        return
    if not any(any(root.glob(name)) for name in ("accel*", "vfio/*", "nvidia*")):
        environment["JAX_PLATFORMS"] = "cpu"
        environment.setdefault("TPU_SKIP_MDS_QUERY", "1")
