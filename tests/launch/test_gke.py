"""launch/gke.sh: the YAML that it makes of launch/gke.yaml, and what its pods do at SIGTERM."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
CONFIG = "configs/tiny.py"
TPU = ("--image", "repo/nitrogen:1", "--topology", "4x4", "--bucket", "runs")


def render(stage, *arguments):
    done = stage.run("gke.sh", "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"\$\{[A-Z_]+\}", done.stdout) == []
    return yaml.safe_load(done.stdout)


def job_of(spec):
    (one,) = spec["spec"]["replicatedJobs"]
    assert one["replicas"] == 1
    return one["template"]["spec"]


def pod_of(spec):
    pod = job_of(spec)["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def test_a_tpu_slice(stage):
    spec = render(stage, CONFIG, "runs/My_run", *TPU, "--mesh.fsdp=4", "--a.b=[1, 'x'] \"${a}\"")
    assert (spec["kind"], spec["metadata"]["name"]) == ("JobSet", "runs-my-run")
    job = job_of(spec)
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 4)
    pod, container = pod_of(spec)
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }
    assert pod["terminationGracePeriodSeconds"] == 120
    assert container["resources"]["limits"] == {"google.com/tpu": 4}
    assert container["image"] == "repo/nitrogen:1"
    assert container["env"] == []
    assert container["command"][3] == "/data/runs/My_run"
    assert container["command"][4:] == [
        *("nitrogen", "train", "--config", CONFIG, "--out", "/data/runs/My_run", "--resume"),
        *("--mesh.fsdp=4", "--a.b=[1, 'x'] \"${a}\""),
    ]
    assert pod["volumes"][0]["csi"]["volumeAttributes"]["bucketName"] == "runs"
    assert stage.calls == []


@pytest.mark.parametrize(
    ("options", "hosts", "chips"),
    [
        (("--topology", "2x2"), 1, 4),
        (("--topology", "1x1"), 1, 1),
        (("--topology", "2x4", "--chips", "8"), 1, 8),
        (("--topology", "16x16", "--tpu", "tpu-v6e-slice"), 64, 4),
        (("--topology", "2x2x4", "--tpu", "tpu-v4-podslice"), 4, 4),
    ],
)
def test_hosts_follow_from_the_topology(stage, options, hosts, chips):
    spec = render(stage, CONFIG, "a", "--image", "i", "--claim", "c", *options)
    assert job_of(spec)["completions"] == hosts
    assert pod_of(spec)[1]["resources"]["limits"] == {"google.com/tpu": chips}


def test_gpu_nodes_are_told_of_each_other(stage):
    options = ("--image", "i", "--gpu", "nvidia-h100-80gb", "--nodes", "2", "--claim", "disk")
    spec = render(stage, CONFIG, "runs/a", *options)
    pod, container = pod_of(spec)
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "JAX_COORDINATOR_ADDRESS": "runs-a-hosts-0-0.runs-a:29500",
        "JAX_NUM_PROCESSES": "2",
    }
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "disk"}


def test_the_trainer_understands_what_the_pods_are_told(stage):
    from nitrogen_jax.training import cluster

    options = ("--image", "i", "--gpu", "h100", "--nodes", "2", "--claim", "disk")
    _, container = pod_of(render(stage, CONFIG, "runs/a", *options))
    told = {one["name"]: one["value"] for one in container["env"]}
    found = cluster.detect({**told, "JOB_COMPLETION_INDEX": "1"})
    assert (found.coordinator, found.processes, found.process_id) == (
        *("runs-a-hosts-0-0.runs-a:29500", 2, 1),
    )


def test_one_gpu_node_is_told_nothing(stage):
    spec = render(stage, CONFIG, "a", "--image", "i", "--gpu", "l4", "--gpus", "1", "--claim", "c")
    assert pod_of(spec)[1]["env"] == []
    assert job_of(spec)["completions"] == 1


def test_failures_start_all_again_but_bad_usage_does_not(stage):
    spec = render(stage, CONFIG, "a", *TPU, "--restarts", "7")
    policy = spec["spec"]["failurePolicy"]
    assert policy["maxRestarts"] == 7
    assert policy["rules"] == [
        {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    ]
    job = job_of(spec)
    assert job["backoffLimit"] == 0
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])
    assert rule["onExitCodes"]["containerName"] == pod_of(spec)[1]["name"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def pod_script(stage, out, program):
    """What a pod runs, with `program` (bash) in place of the training."""
    _, container = pod_of(render(stage, CONFIG, "a", *TPU))
    bash, option, text, *_ = container["command"]
    return [bash, option, text, str(out), "bash", "-c", program]


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_a_pod_ends_as_its_training_does(stage, tmp_path, code):
    command = pod_script(stage, tmp_path, f"exit {code}")
    assert subprocess.run(command).returncode == code


def test_a_signal_of_a_pods_first_moment_reaches_its_training(stage, tmp_path):
    # The shell of the pod thinks before each of its commands; the training is up at once.
    slow = tmp_path / "slow.sh"
    slow.write_text("unset BASH_ENV; trap 'sleep 0.3' DEBUG\n")
    program = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        pod_script(stage, tmp_path, program),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BASH_ENV": str(slow)},
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "saved\n"
        assert process.returncode == 143
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(("finished", "code"), [(False, 143), (True, 0)])
def test_a_pod_that_was_stopped_counts_as_ended_only_if_it_is_finished(
    stage, tmp_path, finished, code
):
    if finished:
        text = json.dumps({"state": "finished", "metrics": {}}, indent=1)
        (tmp_path / "result.json").write_text(text)
    program = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        pod_script(stage, tmp_path, program), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "saved\n"
    assert process.returncode == code


def test_it_is_applied(stage):
    stage.tool("kubectl", f"cat >{stage.folder}/applied")
    done = stage.run("gke.sh", CONFIG, "runs/a", *TPU)
    assert done.returncode == 0
    assert stage.calls == [["kubectl", "apply", "--filename=-"]]
    applied = yaml.safe_load((stage.folder / "applied").read_text())
    assert applied == render(stage, CONFIG, "runs/a", *TPU)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((CONFIG, "a"), "--image"),
        ((CONFIG, "a", "--image", "i"), "--topology"),
        ((CONFIG, "a", "--image", "i", "--topology", "4x4"), "--bucket or --claim"),
        ((CONFIG, "a", "--image", "i", "--topology", "4by4", "--claim", "c"), "'4by4'"),
        ((CONFIG, "/a", *TPU), "a folder within --mount"),
        ((CONFIG, "1", *TPU), "give --name"),
        ((CONFIG, "a", *TPU, "--topology", "3x3"), "does not divide the 9 chips of 3x3"),
    ],
)
def test_bad_usage(stage, arguments, complaint):
    done = stage.run("gke.sh", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert stage.calls == []
