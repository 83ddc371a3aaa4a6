"""Who this process is among several, from flags or from what started it: no JAX, no network.

Pure functions of a dict of environment variables, so that every kind of cluster can be tested.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nitrogen_jax.errors import NitrogenError

TPU_PORT = 8482  # what JAX itself uses on TPU slices
# Above the ports that Linux gives to outgoing connections (32768 to 60999).
FIRST_PORT, PORTS = 61440, 4096
# The step that `salloc` opens a shell in: one task, whatever the allocation holds.
SLURM_INTERACTIVE_STEP = "4294967290"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flags:
    """What the command line says; None where it says nothing."""

    coordinator: str | None = None
    processes: int | None = None
    process_id: int | None = None


NO_FLAGS = Flags()


@dataclass(frozen=True)
class Cluster:
    """All that JAX needs to be told.

    Attributes:
        coordinator: HOST:PORT that process 0 opens and all others connect to.
        processes: how many there are, all hosts together.
        process_id: 0 up to, not including, `processes`.
        source: who said so, for messages.
        local_devices: which of the host's GPUs are this process's; None: all that it sees.
    """

    coordinator: str
    processes: int
    process_id: int
    source: str
    local_devices: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Auto:
    """JAX finds out by itself, `method` as in `jax.distributed.initialize`."""

    method: str | None
    source: str


AUTO_TPU = Auto(None, "the TPU's metadata")
AUTO_OPENMPI = Auto("ompi", "Open MPI")


def detect(
    env: Mapping[str, str], flags: Flags = NO_FLAGS, tpu: bool = False
) -> Cluster | Auto | None:
    """Who this process is: a `Cluster`, an `Auto` that JAX resolves, or None: alone.

    Args:
        env: the environment's variables.
        flags: win over the environment; what they leave out is taken from it.
        tpu: whether this host has a TPU of its own, of which no variable tells.
    """
    if flags != NO_FLAGS:
        return _checked(_from_flags(env, flags))
    found = _from_jax(env) or _from_slurm(env) or _from_tpu_workers(env, tpu) or _from_openmpi(env)
    if isinstance(found, Cluster):
        return _checked(found)
    told = env.get("JAX_COORDINATOR_ADDRESS") and _number(env, "JAX_NUM_PROCESSES") != 1
    if found is None and told and "SLURM_JOB_ID" not in env:
        raise NitrogenError(
            "JAX_COORDINATOR_ADDRESS is set, but nothing says how many processes there are: set "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID too, or unset it"
        )
    return found


def _from_flags(env: Mapping[str, str], flags: Flags) -> Cluster | None:
    """Flags, and what they leave out from the environment (an indexed Job of Kubernetes too)."""
    index = env.get("JAX_PROCESS_ID") or env.get("JOB_COMPLETION_INDEX")
    values = {
        "--coordinator": flags.coordinator or env.get("JAX_COORDINATOR_ADDRESS"),
        "--processes": _number(env, "JAX_NUM_PROCESSES")
        if flags.processes is None
        else flags.processes,
        "--process-id": _whole("the process's index", index)
        if flags.process_id is None and index
        else flags.process_id,
    }
    if flags.processes == 1 and not flags.process_id:
        return None
    missing = [name for name, value in values.items() if value is None]
    if missing:
        given = [name for name in values if name not in missing]
        raise NitrogenError(
            f"{_and(given)} {'is' if len(given) == 1 else 'are'} given without {_and(missing)}: "
            "several processes need --coordinator HOST:PORT, --processes N and --process-id I"
        )
    return Cluster(*values.values(), "flags")


def _from_jax(env: Mapping[str, str]) -> Cluster | None:
    """The variables that Kubeflow and others set for JAX."""
    coordinator = env.get("JAX_COORDINATOR_ADDRESS")
    processes = _number(env, "JAX_NUM_PROCESSES")
    name = "JAX_PROCESS_ID" if env.get("JAX_PROCESS_ID") else "JOB_COMPLETION_INDEX"
    process_id = _number(env, name)
    if not coordinator or processes is None or process_id is None:
        return None
    return Cluster(coordinator, processes, process_id, f"JAX_NUM_PROCESSES and {name}")


def _from_slurm(env: Mapping[str, str]) -> Cluster | None:
    """A task of `srun`; None in a batch script or a shell, which are alone in what they run."""
    if "SLURM_JOB_ID" not in env:
        return None
    step = env.get("SLURM_STEP_ID", "")
    # NOTE: SLURM_NTASKS is the allocation's in a batch script and in a shell that salloc opened;
    # who believed it there would wait for processes that nobody started.
    in_step = "SLURM_STEP_NODELIST" in env and step != SLURM_INTERACTIVE_STEP
    name = "SLURM_STEP_NUM_TASKS" if env.get("SLURM_STEP_NUM_TASKS") else "SLURM_NTASKS"
    tasks = _number(env, name) or 1
    if not in_step:
        if tasks > 1:
            log.warning(
                "SLURM gives %d tasks, but this process was not started by srun: it runs alone",
                tasks,
            )
        return None
    if tasks == 1:
        return None
    process_id = _number(env, "SLURM_PROCID")
    if process_id is None:
        raise NitrogenError(
            f"SLURM's step has {tasks} tasks, but SLURM_PROCID is not set: start with srun"
        )
    # NOTE: two steps of one job may start on the same host: they must not share a port.
    job, step = (int(re.sub(r"\D", "", text) or 0) for text in (env["SLURM_JOB_ID"], step))
    port = env.get("JAX_COORDINATOR_PORT") or FIRST_PORT + (job + 101 * step) % PORTS
    host = first_host(env["SLURM_STEP_NODELIST"])
    coordinator = env.get("JAX_COORDINATOR_ADDRESS") or f"{host}:{port}"
    return Cluster(coordinator, tasks, process_id, "SLURM", _slurm_gpus(env))


def first_host(nodes: str) -> str:
    """The first host of a SLURM list such as "rack[01-02]node[3,7-9]-ib,login"."""
    name = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)[0]
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", name)


def _slurm_gpus(env: Mapping[str, str]) -> tuple[int, ...] | None:
    """This task's GPUs: an equal part of those that it sees, None where it may have them all.

    NOTE: JAX itself would give one GPU to each task, also to a node's only task.
    """
    here = _number(env, "SLURM_LOCALID")
    counts = env.get("SLURM_STEP_TASKS_PER_NODE") or env.get("SLURM_TASKS_PER_NODE") or ""
    per_node = [
        int(tasks)
        for tasks, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts)
        for _ in range(int(times or 1))
    ]
    node = _number(env, "SLURM_NODEID") or 0
    tasks = per_node[node] if node < len(per_node) else 1
    if here is None or tasks <= 1:
        return None
    visible = env.get("CUDA_VISIBLE_DEVICES") or env.get("ROCR_VISIBLE_DEVICES")
    seen = len(visible.split(",")) if visible else _number(env, "SLURM_GPUS_ON_NODE")
    if not seen:
        return (here,)  # no GPUs, or SLURM does not look after them
    if seen == 1:
        return None  # bound to this task alone, or shared with intent
    if seen % tasks:
        raise NitrogenError(
            f"SLURM starts {tasks} tasks on a node where each sees {seen} GPUs, which cannot be "
            "divided equally: use --ntasks-per-node=1, or one task for each GPU"
        )
    part = seen // tasks
    return tuple(range(here * part, (here + 1) * part))


def _from_tpu_workers(env: Mapping[str, str], tpu: bool) -> Cluster | Auto | None:
    """A slice, or several (Megascale), by GKE's variables or else by the TPU's metadata."""
    listed = env.get("TPU_PROCESS_ADDRESSES") or env.get("TPU_WORKER_HOSTNAMES")
    if not listed:
        return AUTO_TPU if tpu and "TPU_SKIP_MDS_QUERY" not in env else None
    workers = [address.strip().split(":")[0] for address in listed.split(",")]
    slices = _number(env, "MEGASCALE_NUM_SLICES") or 1
    processes = len(workers) * slices
    if processes == 1:
        return None
    worker = _number(env, "TPU_WORKER_ID")
    if worker is None:
        raise NitrogenError(
            f"TPU_WORKER_HOSTNAMES names {len(workers)} workers, but TPU_WORKER_ID is not set"
        )
    host = (env.get("MEGASCALE_COORDINATOR_ADDRESS") or workers[0]).split(":")[0]
    port = env.get("JAX_COORDINATOR_PORT") or TPU_PORT
    coordinator = env.get("JAX_COORDINATOR_ADDRESS") or f"{host}:{port}"
    process_id = worker + (_number(env, "MEGASCALE_SLICE_ID") or 0) * len(workers)
    return Cluster(coordinator, processes, process_id, "TPU_WORKER_HOSTNAMES")


def _from_openmpi(env: Mapping[str, str]) -> Cluster | Auto | None:
    """A rank of `mpirun`."""
    processes = _number(env, "OMPI_COMM_WORLD_SIZE") or 1
    if processes == 1:
        return None
    coordinator = env.get("JAX_COORDINATOR_ADDRESS")
    rank = _number(env, "OMPI_COMM_WORLD_RANK")
    if coordinator and rank is not None:
        local = _number(env, "OMPI_COMM_WORLD_LOCAL_RANK")
        devices = None if local is None else (local,)
        return Cluster(coordinator, processes, rank, "Open MPI", devices)
    if "OMPI_MCA_orte_hnp_uri" in env:
        return AUTO_OPENMPI
    raise NitrogenError(
        f"mpirun started {processes} processes, but this Open MPI does not say where: set "
        "JAX_COORDINATOR_ADDRESS to HOST:PORT of rank 0 (mpirun -x)"
    )


def _checked(cluster: Cluster | None) -> Cluster | None:
    if cluster is None:
        return None
    host, _, port = cluster.coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise NitrogenError(
            f"the coordinator is {cluster.coordinator!r} (from {cluster.source}), where HOST:PORT "
            "is needed, such as node7:6000"
        )
    if cluster.processes < 1 or not 0 <= cluster.process_id < cluster.processes:
        raise NitrogenError(
            f"process {cluster.process_id} of {cluster.processes} (from {cluster.source}) cannot "
            "be: processes are numbered from 0 up to one less than how many there are"
        )
    return cluster if cluster.processes > 1 else None


def _number(env: Mapping[str, str], name: str) -> int | None:
    return _whole(name, env[name]) if env.get(name) else None


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise NitrogenError(f"{name} is {text!r}, where a whole number is needed")
    return int(text)


def _and(names: list[str]) -> str:
    return " and ".join(names)
