"""launch/tpu_pod.sh: what it prints, and how it goes on when a slice is taken away."""

from __future__ import annotations

import signal
import subprocess

import pytest

CONFIG = "configs/tiny.py"
WHERE = ("--name", "pod", "--zone", "z")
VM = ["gcloud", "compute", "tpus", "tpu-vm"]
QUEUE = ["gcloud", "compute", "tpus", "queued-resources"]


def test_a_dry_run_needs_no_gcloud(stage, words):
    done = stage.run("tpu_pod.sh", *WHERE, "--dry-run", CONFIG, "/mnt/nfs/a b", "--x=[1, 2]")
    assert done.returncode == 0
    tar, stop, scp, setup, start, look = words(done.stdout)
    assert tar[:2] == ["tar", "-czf"]
    assert {"nitrogen_jax", "configs", "launch", "setup.cfg"} <= set(tar)
    on_all = [*VM, "ssh", "pod", "--zone", "z", "--worker=all"]
    for command in (stop, setup, start):
        assert command[:-1] == on_all
    assert scp == [
        *(*VM, "scp", "nitrogen_jax.tar.gz", "pod:nitrogen_jax.tar.gz", "--zone", "z"),
        "--worker=all",
    ]
    assert start[-1] == (
        "--command=cd nitrogen_jax && echo $$ >../nitrogen.pid && exec ../nitrogen_venv/bin/"
        f"nitrogen train --config {CONFIG} --out '/mnt/nfs/a b' --resume '--x=[1, 2]'"
    )
    assert look[-2] == "--worker=0"
    assert stage.calls == []


@pytest.mark.parametrize(
    ("options", "create", "delete"),
    [
        (
            ("--create", "v5litepod-16", "--spot", "--delete"),
            [
                *(*VM, "create", "pod", "--zone", "z", "--accelerator-type", "v5litepod-16"),
                *("--version", "v2-alpha-tpuv5-lite", "--spot"),
            ],
            [*VM, "delete", "pod", "--zone", "z", "--quiet"],
        ),
        (
            ("--create", "v6e-256", "--version", "v2", "--queued", "--delete", "--project", "p"),
            [
                *(*QUEUE, "create", "pod", "--node-id", "pod", "--zone", "z", "--project", "p"),
                *("--accelerator-type", "v6e-256", "--runtime-version", "v2"),
            ],
            [*QUEUE, "delete", "pod", "--zone", "z", "--project", "p", "--force", "--quiet"],
        ),
    ],
)
def test_a_dry_run_creates_and_deletes(stage, words, options, create, delete):
    found = words(stage.run("tpu_pod.sh", *WHERE, *options, "--dry-run", CONFIG, "/a").stdout)
    assert found[0] == create
    assert found[-1] == delete


def test_a_bucket_is_mounted_on_every_host(stage, words):
    done = stage.run("tpu_pod.sh", *WHERE, "--bucket", "b", "--dry-run", CONFIG, "runs/a")
    commands = [line[-1] for line in words(done.stdout) if "ssh" in line]
    assert any("gcsfuse --implicit-dirs b /mnt/b" in command for command in commands)
    assert any("--out /mnt/b/runs/a --resume" in command for command in commands)


def test_what_the_hosts_run_is_shell(stage, words):
    options = ("--bucket", "b", "--create", "v5litepod-16", "--queued")
    done = stage.run("tpu_pod.sh", *WHERE, *options, "--dry-run", CONFIG, "runs/a")
    commands = [line[-1] for line in words(done.stdout) if "ssh" in line]
    assert len(commands) == 4
    for command in commands:
        text = command.removeprefix("--command=")
        assert subprocess.run(["bash", "-nc", text], capture_output=True).returncode == 0, text


def test_the_last_training_is_asked_to_save_before_the_next(stage, words, tmp_path):
    done = stage.run("tpu_pod.sh", *WHERE, "--dry-run", CONFIG, "/a")
    stop = next(line for line in words(done.stdout) if "nitrogen.pid" in line[-1])[-1]
    program = tmp_path / "nitrogen"
    program.write_text(
        f"echo $$ >{tmp_path}/nitrogen.pid; trap 'echo saved; exit 0' TERM\n"
        "echo up; while :; do sleep 0.05; done"
    )
    running = subprocess.Popen(["bash", str(program)], stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "up\n"
    text = stop.removeprefix("--command=")
    assert subprocess.run(["bash", "-c", text], cwd=tmp_path).returncode == 0
    assert running.communicate(timeout=10)[0] == "saved\n"
    # Neither another program of that number nor a missing file is a reason to wait.
    assert subprocess.run(["bash", "-c", text], cwd=tmp_path, timeout=10).returncode == 0
    (tmp_path / "nitrogen.pid").unlink()
    assert subprocess.run(["bash", "-c", text], cwd=tmp_path, timeout=10).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((CONFIG, "runs/a"), "an absolute path is needed, or --bucket"),
        (("--bucket", "b", CONFIG, "/runs/a"), "a folder of the bucket b is needed"),
        (("/etc/hosts", "/a"), "is not the path of a file in the checkout"),
    ],
)
def test_paths_are_checked(stage, arguments, complaint):
    done = stage.run("tpu_pod.sh", *WHERE, *arguments)
    assert (done.returncode, complaint in done.stderr) == (2, True)


@pytest.fixture
def cloud(stage):
    """A cloud of one slice. state: its state; look: whether the training is finished."""
    folder = stage.folder
    (folder / "state").write_text("READY")
    stage.tool(
        "gcloud",
        f"""
cd {folder}
case "$*" in
  *" describe "*) cat state ;;
  *" create "*) echo READY >state ;;
  *" delete "*) : >state ;;
  *--command=cd\\ nitrogen_jax*) source ./train ;;
  *--command=grep*) [ -e finished ] ;;
  *--command=pid=*) touch stopped ;;
esac
""",
    )
    stage.environment["TMPDIR"] = str(folder)
    return stage


def starts(stage):
    return sum("cd nitrogen_jax " in call[-1] for call in stage.calls)


def test_it_runs_until_the_training_is_finished(cloud):
    (cloud.folder / "train").write_text("touch finished")
    done = cloud.run("tpu_pod.sh", *WHERE, CONFIG, "/a")
    assert done.returncode == 0
    assert starts(cloud) == 1
    assert "finished: /a" in done.stdout
    assert not list(cloud.folder.glob("*.tar.gz"))


def test_a_slice_that_was_taken_away_is_made_again(cloud):
    (cloud.folder / "train").write_text(
        "if [ -e once ]; then touch finished; else touch once; echo PREEMPTED >state; exit 255; fi"
    )
    options = ("--create", "v5litepod-16", "--spot", "--pause", "1")
    done = cloud.run("tpu_pod.sh", *WHERE, *options, CONFIG, "/a")
    assert done.returncode == 0
    assert starts(cloud) == 2
    verbs = [call[4] for call in cloud.calls if call[4] in ("create", "delete")]
    assert verbs == ["delete", "create"]


@pytest.mark.parametrize(("code", "times", "ends"), [(2, 1, 2), (1, 3, 1)])
def test_a_training_that_cannot_run_is_not_started_for_ever(cloud, code, times, ends):
    (cloud.folder / "train").write_text(f"exit {code}")
    done = cloud.run("tpu_pod.sh", *WHERE, "--pause", "1", CONFIG, "/a")
    assert done.returncode == ends
    assert starts(cloud) == times


def test_a_failed_copy_starts_nothing(cloud):
    gcloud = cloud.folder / "bin" / "gcloud"
    gcloud.write_text(
        gcloud.read_text().replace('case "$*" in', 'case "$*" in *" scp "*) exit 1 ;;')
    )
    done = cloud.run("tpu_pod.sh", *WHERE, "--pause", "1", CONFIG, "/a")
    assert (done.returncode, starts(cloud)) == (1, 0)


def test_a_slice_that_is_not_there_is_an_error(cloud):
    (cloud.folder / "state").write_text("")
    done = cloud.run("tpu_pod.sh", *WHERE, CONFIG, "/a")
    assert done.returncode == 2
    assert "slice pod is not there" in done.stderr


def test_ctrl_c_lets_the_hosts_save(cloud):
    (cloud.folder / "train").write_text("until [ -e stopped2 ]; do sleep 0.05; done")
    gcloud = cloud.folder / "bin" / "gcloud"
    gcloud.write_text(
        gcloud.read_text().replace(
            "touch stopped", "[ -e stopped ] && touch stopped2; touch stopped"
        )
    )
    process = cloud.start("tpu_pod.sh", *WHERE, CONFIG, "/a")
    cloud.wait_for_call("ssh", "--worker=all", count=3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert (cloud.folder / "stopped2").exists()
