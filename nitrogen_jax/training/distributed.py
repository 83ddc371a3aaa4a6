"""Several processes that train as one: how they meet, and which of them speaks.

    distributed.initialize(cluster.Flags(coordinator, processes, process_id))

comes before anything touches JAX's devices. Without flags the environment decides: a step of
SLURM, a TPU slice on GKE or Compute Engine, Open MPI, or the variables JAX_COORDINATOR_ADDRESS,
JAX_NUM_PROCESSES and JAX_PROCESS_ID. Where nothing says otherwise, there is one process.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.cluster import NO_FLAGS, Auto, Cluster, Flags, detect

TIMEOUT = 300.0  # seconds that the processes wait for each other
PATIENCE = 10.0  # the same after an error

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of a command that may run as several processes."""
    group = parser.add_argument_group(
        "several processes (found out under SLURM, on TPU slices and under Open MPI)"
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens")
    group.add_argument("--processes", type=int, metavar="N", help="how many there are")
    group.add_argument("--process-id", type=int, metavar="I", help="which one this is, from 0")


def flags_of(args: argparse.Namespace) -> Flags:
    """The flags that `add_arguments` added."""
    return Flags(args.coordinator, args.processes, args.process_id)


def initialize(flags: Flags = NO_FLAGS, timeout: float = TIMEOUT) -> Cluster | Auto | None:
    """Brings all processes together; returns what was detected (None: this one is alone).

    Must come before anything touches JAX's devices.

    Args:
        timeout: seconds to wait for the other processes.
    """
    found = detect(os.environ, flags, _has_tpu())
    if found is None:
        return None
    import jax

    if jax.config.jax_cpu_collectives_implementation is None:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if isinstance(found, Auto):
        arguments: dict[str, Any] = {"cluster_detection_method": found.method}
        where, others = found.source, "the other processes"
    else:
        deadline = time.monotonic() + timeout
        if found.process_id == 0:
            _check_port_is_free(found)
        else:
            _wait_for_coordinator(found, timeout)
        timeout = max(deadline - time.monotonic(), 1.0)
        # NOTE: with any detection left on, JAX would still let SLURM choose the GPUs.
        arguments = {
            "coordinator_address": found.coordinator,
            "num_processes": found.processes,
            "process_id": found.process_id,
            "local_device_ids": found.local_devices,
            "cluster_detection_method": "deactivate",
        }
        where = f"{found.coordinator} (from {found.source})"
        others = f"all {found.processes} processes"
        log.info("process %d of %d, %s", found.process_id, found.processes, where)
    # NOTE: when its own time is up, JAX aborts the process with a stack trace instead of raising,
    # so it gets more than we wait, in a thread that can be left behind.
    slack = int(timeout) + 60
    _in_time(
        lambda: jax.distributed.initialize(**arguments, initialization_timeout=slack),
        timeout,
        f"waited {timeout:.0f} s at {where}, but not {others} came: look at what the missing ones "
        "say, and whether they were told the same coordinator and number of processes",
    )
    return found


def is_main() -> bool:
    """Whether this is process 0, which alone prints and writes logs. Touches the devices."""
    import jax

    return jax.process_index() == 0


def is_several() -> bool:
    """Whether other processes were brought together with this one."""
    import jax

    return jax.distributed.is_initialized()


def only_main_logs() -> bool:
    """Silences all processes but 0: no standard output, and warnings alone, with their process.

    Returns whether this is process 0.
    """
    import jax

    if is_main():
        return True
    # NOTE: the descriptor, because the CPU's collectives write there without asking Python.
    sys.stdout.flush()
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    root = logging.getLogger()
    root.setLevel(max(root.level, logging.WARNING))
    for handler in root.handlers:
        handler.setLevel(max(handler.level, logging.WARNING))
        handler.setFormatter(
            logging.Formatter(f"process {jax.process_index()}: %(levelname)s: %(message)s")
        )
    return False


def shutdown() -> None:
    """Leaves the others in order: waits until all of them are here. Nothing where one is alone."""
    import jax

    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def leave(code: int) -> int:
    """After an error: leaves the others, who may not know of it and may never be here.

    Does not return where they do not come soon: the process ends with this exit code, and JAX ends
    the others when they hear nothing from it any more. Otherwise returns the code.
    """
    import jax

    if jax.distributed.is_initialized():
        # NOTE: at exit, JAX would wait for them for minutes, and abort.
        thread = threading.Thread(target=jax.distributed.shutdown, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if thread.is_alive():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return code


def _address(cluster: Cluster) -> tuple[str, int]:
    host, _, port = cluster.coordinator.rpartition(":")
    return host.strip("[]"), int(port)


def _check_port_is_free(cluster: Cluster) -> None:
    _, port = _address(cluster)
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("", port))
        except OSError as error:
            raise NitrogenError(
                f"process 0 cannot listen at {cluster.coordinator} (from {cluster.source}): "
                f"{error.strerror}: give another port"
            ) from None


def _wait_for_coordinator(cluster: Cluster, timeout: float) -> None:
    """Returns once the coordinator takes connections; its name may not even be known yet."""
    end = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(_address(cluster), timeout=min(timeout, 10)).close()
            return
        except OSError as error:
            if time.monotonic() >= end:
                raise NitrogenError(
                    f"process {cluster.process_id} cannot reach the coordinator at "
                    f"{cluster.coordinator} (from {cluster.source}) within {timeout:.0f} s: "
                    f"{error.strerror or error}"
                ) from None
        time.sleep(min(0.5, timeout / 10))


def _in_time(call: Callable[[], None], timeout: float, complaint: str) -> None:
    """Calls; raises what the call raises, or the complaint when it takes longer."""
    outcome: list[Exception] = []

    def work() -> None:
        try:
            call()
        except Exception as error:  # told to whoever waits
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise NitrogenError(complaint)
    if outcome:
        first = (str(outcome[0]).strip().splitlines() or [repr(outcome[0])])[0]
        raise NitrogenError(f"JAX cannot bring the processes together: {first}") from outcome[0]


def _has_tpu() -> bool:
    """Whether JAX sees a TPU of this host, which it finds out when it is imported."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return False
    try:
        import jax  # noqa: F401
        from jax._src import cloud_tpu_init
    except ImportError:
        return False
    return bool(getattr(cloud_tpu_init, "running_in_cloud_tpu_vm", False))
