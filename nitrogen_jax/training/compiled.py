"""What the compiler says that a step needs, and what memory is held while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MIB = 2**20


def describe_compiled(compiled: Any) -> dict[str, float | None]:
    """The compiler's figures for one device: None where a back end does not say.

    Args:
        compiled: a `jax.stages.Compiled`.

    Returns:
        flops (NOTE: the body of a loop is counted once), bytes_accessed, and in MiB argument_mib,
        output_mib, alias_mib (output that takes over an argument's memory), temporary_mib,
        code_mib and peak_mib.
    """
    cost, memory = _asked(compiled.cost_analysis), _asked(compiled.memory_analysis)
    cost = (cost[0] if cost else None) if isinstance(cost, list | tuple) else cost
    cost = cost or {}
    sizes = {
        name: None if memory is None else getattr(memory, f"{field}_size_in_bytes") / MIB
        for name, field in (
            ("argument_mib", "argument"),
            ("output_mib", "output"),
            ("alias_mib", "alias"),
            ("temporary_mib", "temp"),
            ("code_mib", "generated_code"),
        )
    }
    return {
        "flops": cost.get("flops"),
        "bytes_accessed": cost.get("bytes accessed"),
        **sizes,
        "peak_mib": None if memory is None else _peak(sizes),
    }


def memory() -> dict[str, float]:
    """MiB held now: device_memory_mib, device_peak_mib and device_limit_mib where the first local
    device tells (GPU, TPU), host_memory_mib always.
    """
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    names = {
        "device_memory_mib": "bytes_in_use",
        "device_peak_mib": "peak_bytes_in_use",
        "device_limit_mib": "bytes_limit",
    }
    found = {name: stats[key] / MIB for name, key in names.items() if key in stats}
    return found | {"host_memory_mib": _resident() / MIB}


def _peak(sizes: dict[str, float]) -> float:
    """All that is there at once.

    NOTE: not the compiler's own peak_memory_in_bytes, which leaves out temporaries on CPUs.
    """
    held = sizes["argument_mib"] + sizes["output_mib"] - sizes["alias_mib"]
    return held + sizes["temporary_mib"] + sizes["code_mib"]


def _resident() -> int:
    """Bytes of this process in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    return 0


def _asked(question: Any) -> Any:
    """The answer, or None from a back end that has none: they differ in how they say so."""
    try:
        return question()
    except Exception:
        return None
