"""Which process of how many this is, for every kind of cluster, from dicts of variables."""

from __future__ import annotations

import logging

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.cluster import AUTO_OPENMPI, AUTO_TPU, Cluster, Flags, detect, first_host

# What srun sets in the fourth task of eight on two nodes.
SRUN = {
    "SLURM_JOB_ID": "1234",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_NODEID": "0",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "3",
}
# In a batch script and in a shell that salloc opened on the first node.
BATCH = {
    "SLURM_JOB_ID": "1234",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
INTERACTIVE = SRUN | {
    "SLURM_STEP_ID": "4294967290",
    "SLURM_STEP_NUM_TASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
GKE = {
    "TPU_WORKER_ID": "2",
    "TPU_WORKER_HOSTNAMES": "job-0.net,job-1.net,job-2.net,job-3.net",
}


def test_alone():
    assert detect({}) is None
    assert detect({}, Flags(processes=1)) is None
    assert detect({}, Flags("here:6000", 1, 0)) is None
    assert detect({"JOB_COMPLETION_INDEX": "3"}) is None  # one of many independent jobs


def test_flags():
    found = detect({}, Flags("node7:6000", 4, 3))
    assert found == Cluster("node7:6000", 4, 3, "flags")
    assert detect(SRUN, Flags("node9:6000", 2, 1)) == Cluster("node9:6000", 2, 1, "flags")
    assert detect({}, Flags("[::1]:6000", 2, 0)).coordinator == "[::1]:6000"


def test_an_indexed_job_brings_the_process_id():
    found = detect({"JOB_COMPLETION_INDEX": "2"}, Flags("train-0.train:6000", 4))
    assert found == Cluster("train-0.train:6000", 4, 2, "flags")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (Flags(coordinator="a:1"), "--coordinator is given without --processes and --process-id"),
        (Flags(processes=2), "--processes is given without --coordinator and --process-id"),
        (Flags("a:1", 2), "--coordinator and --processes are given without --process-id"),
        (Flags("a:1", 2, 2), "process 2 of 2"),
        (Flags("a:1", 2, -1), "process -1 of 2"),
        (Flags("a:1", 0, 0), "process 0 of 0"),
        (Flags("a", 2, 0), "'a' .* HOST:PORT"),
        (Flags(":80", 2, 0), "HOST:PORT"),
        (Flags("a:99999", 2, 0), "HOST:PORT"),
    ],
)
def test_flags_that_cannot_be(flags, words):
    with pytest.raises(NitrogenError, match=words):
        detect({}, flags)


def test_the_variables_of_jax():
    env = {
        "JAX_COORDINATOR_ADDRESS": "w0:6000",
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": "1",
    }
    assert detect(env) == Cluster("w0:6000", 2, 1, "JAX_NUM_PROCESSES and JAX_PROCESS_ID")
    assert detect(env | {"JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}) is None
    with pytest.raises(NitrogenError, match="how many processes"):
        detect({"JAX_COORDINATOR_ADDRESS": "w0:6000"})
    with pytest.raises(NitrogenError, match="JAX_NUM_PROCESSES is 'two'"):
        detect(env | {"JAX_NUM_PROCESSES": "two"})


def test_slurm():
    found = detect(SRUN)
    host, port = found.coordinator.split(":")
    assert (host, found.processes, found.process_id, found.source) == ("node07", 8, 3, "SLURM")
    assert 61440 <= int(port) < 65536
    # All tasks of a step agree; another step of the same job has a port of its own.
    assert detect(SRUN | {"SLURM_PROCID": "0"}).coordinator == found.coordinator
    assert detect(SRUN | {"SLURM_STEP_ID": "1"}).coordinator != found.coordinator
    assert detect(SRUN | {"JAX_COORDINATOR_PORT": "7000"}).coordinator == "node07:7000"
    assert detect(SRUN | {"JAX_COORDINATOR_ADDRESS": "ib0:7000"}).coordinator == "ib0:7000"


@pytest.mark.parametrize(
    "env",
    [
        SRUN | {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        BATCH | {"SLURM_NTASKS": "1"},
        BATCH,
        INTERACTIVE,
        INTERACTIVE | {"SLURM_STEP_NUM_TASKS": "8"},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"},  # salloc's shell on the login node
        BATCH | {"JAX_COORDINATOR_ADDRESS": "ib0:7000"},
    ],
)
def test_nobody_is_waited_for_where_srun_started_one_task(env):
    assert detect(env) is None


def test_a_batch_script_without_srun_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        detect(BATCH)
    assert "not started by srun" in caplog.text


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node001", "node001"),
        ("node001,host2", "node001"),
        ("node[001-015],host2", "node001"),
        ("node[001,007-015],host2", "node001"),
        ("rack[02-03]node[5,7-9]-ib,login", "rack02node5-ib"),
        ("gpu-a[3]", "gpu-a3"),
    ],
)
def test_the_first_host(nodes, host):
    assert first_host(nodes) == host


@pytest.mark.parametrize(
    ("env", "devices"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, (3,)),  # a task for each GPU
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7"}, (6, 7)),
        ({"CUDA_VISIBLE_DEVICES": "0"}, None),  # bound by SLURM: each task sees its own as 0
        ({"SLURM_GPUS_ON_NODE": "4"}, (3,)),
        ({}, (3,)),
        (  # one task on a node has all of it
            {"SLURM_STEP_TASKS_PER_NODE": "1(x8)", "SLURM_LOCALID": "0", "SLURM_GPUS_ON_NODE": "8"},
            None,
        ),
        (  # and so has the only task of the second node
            {"SLURM_STEP_TASKS_PER_NODE": "7,1", "SLURM_NODEID": "1", "SLURM_LOCALID": "0"},
            None,
        ),
    ],
)
def test_gpus_of_a_slurm_task(env, devices):
    assert detect(SRUN | env).local_devices == devices


def test_gpus_that_cannot_be_divided():
    with pytest.raises(NitrogenError, match=r"4 tasks .* 6 GPUs"):
        detect(SRUN | {"CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5"})


def test_tpu_slice_on_gke():
    assert detect(GKE) == Cluster("job-0.net:8482", 4, 2, "TPU_WORKER_HOSTNAMES")
    single = {"TPU_WORKER_ID": "0", "TPU_WORKER_HOSTNAMES": "localhost"}
    assert detect(single) is None
    addresses = GKE | {"TPU_PROCESS_ADDRESSES": "10.0.0.1:8476,10.0.0.2:8476"}
    assert detect(addresses | {"TPU_WORKER_ID": "1"}).coordinator == "10.0.0.1:8482"
    with pytest.raises(NitrogenError, match="TPU_WORKER_ID is not set"):
        detect({"TPU_WORKER_HOSTNAMES": "a,b"})


def test_several_slices():
    env = GKE | {
        "MEGASCALE_NUM_SLICES": "2",
        "MEGASCALE_SLICE_ID": "1",
        "MEGASCALE_COORDINATOR_ADDRESS": "first-0.net:8080",
    }
    assert detect(env) == Cluster("first-0.net:8482", 8, 6, "TPU_WORKER_HOSTNAMES")


def test_a_tpu_of_compute_engine_is_left_to_jax():
    assert detect({}, tpu=True) == AUTO_TPU
    assert detect({"TPU_SKIP_MDS_QUERY": "1"}, tpu=True) is None


def test_open_mpi():
    env = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
    uri = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"}
    assert detect(env | uri) == AUTO_OPENMPI
    given = detect(env | {"JAX_COORDINATOR_ADDRESS": "a:6000"})
    assert given == Cluster("a:6000", 2, 1, "Open MPI")
    assert detect({"OMPI_COMM_WORLD_SIZE": "1"} | uri) is None
    with pytest.raises(NitrogenError, match="JAX_COORDINATOR_ADDRESS"):
        detect(env)
