"""launch/label_ray.sh: the cluster that it describes, and what it does with it."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from nitrogen_jax.labeling import cluster

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
LABEL = ("--", "--videos", "/d/my videos", "--skins", "/d/s", "--out", "/d/l", "--game", "It's $1")
HOSTS = ("--hosts", "10.0.0.1,10.0.0.2,10.0.0.3")
CLOUD = ("--project", "mine", "--zone", "us-central1-a", "--nfs", "10.1.2.3:/share")


def dry(stage, *arguments):
    """The cluster's description and the commands, as words, of a dry run."""
    done = stage.run("label_ray.sh", "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"\$\{[A-Z_]+\}", done.stdout) == []
    lines = done.stdout.splitlines()
    text = "\n".join(line[4:] for line in lines if line.startswith("#   "))
    assert stage.calls == []
    return yaml.safe_load(text), [shlex.split(line) for line in lines if line[:1] != "#"]


def accepted(spec, tmp_path):
    """What Ray's launcher makes of a description, which raises where it is wrong."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs ray, which is not installed")
    cluster.load()  # as everywhere: it sets up what Ray reads when it is loaded
    from ray.autoscaler._private import util

    prepared = util.prepare_config(spec)
    util.validate_config(prepared)
    return prepared


def test_hosts_that_are_there(stage, tmp_path):
    spec, _ = dry(stage, *HOSTS, "--user", "me", "--key", "~/.ssh/a key", *LABEL)
    assert spec["provider"] == {
        "type": "local",
        "head_ip": "10.0.0.1",
        "worker_ips": ["10.0.0.2", "10.0.0.3"],
    }
    assert spec["auth"] == {"ssh_user": "me", "ssh_private_key": "~/.ssh/a key"}
    assert (spec["min_workers"], spec["max_workers"]) == (2, 2)
    assert spec["file_mounts"]["~/nitrogen_jax"] == str(ROOT)
    assert accepted(spec, tmp_path)["max_workers"] == 2


def test_one_host_is_enough(stage):
    spec, _ = dry(stage, "--hosts", "10.0.0.1", *LABEL)
    assert spec["provider"]["worker_ips"] == []
    assert spec["max_workers"] == 0


def test_machines_of_google_cloud(stage, tmp_path):
    spec, _ = dry(stage, *CLOUD, "--nodes", "16", "--spot", "--machine", "c3-highcpu-88", *LABEL)
    assert spec["provider"]["region"] == "us-central1"
    kinds = spec["available_node_types"]
    assert kinds["head"]["resources"] == {"CPU": 0}
    labelling = kinds["labelling"]
    assert (labelling["min_workers"], labelling["max_workers"], spec["max_workers"]) == (16,) * 3
    assert labelling["node_config"]["machineType"] == "c3-highcpu-88"
    assert labelling["node_config"]["scheduling"] == [{"preemptible": True}]
    assert "scheduling" not in kinds["head"]["node_config"]
    assert any(
        "mount -t nfs -o hard 10.1.2.3:/share /data" in one for one in spec["setup_commands"]
    )
    assert accepted(spec, tmp_path)["head_node_type"] == "head"


@pytest.mark.parametrize("where", [HOSTS, CLOUD])
def test_ray_tells_nobody_and_wants_a_token(stage, where):
    spec, _ = dry(stage, *where, *LABEL)
    for kind in ("head", "worker"):
        *_, start = spec[f"{kind}_start_ray_commands"]
        assert "RAY_USAGE_STATS_ENABLED=0" in start
        assert "RAY_AUTH_MODE=token" in start
    assert "--include-dashboard=false" in spec["head_start_ray_commands"][-1]
    assert "~/.ray/auth_token" in spec["file_mounts"]
    assert spec["setup_commands"][-1].endswith("setup_venv ~/nitrogen_venv label,cluster")


def test_what_is_run(stage):
    _, commands = dry(stage, *HOSTS, "--name", "mine", *LABEL)
    assert [one[:2] for one in commands] == [
        ["ray", "get-auth-token"],
        ["ray", "up"],
        ["ray", "exec"],
        ["ray", "down"],
    ]
    assert shlex.split(commands[2][-1]) == [
        "RAY_AUTH_MODE=token",
        *("~/nitrogen_venv/bin/nitrogen", "label", "run", *LABEL[1:], "--cluster", "auto"),
    ]
    assert [one[1] for one in dry(stage, *HOSTS, "--keep", *LABEL)[1]][-1] == "exec"


def test_nitrogen_understands_what_the_head_is_told(stage):
    from nitrogen_jax.commands import nested

    _, commands = dry(stage, *HOSTS, *LABEL)
    words = shlex.split(commands[2][-1])[4:]
    parser, module = nested.module_parser("label_run", "nitrogen label run")
    args = nested.parse(parser, module, words)
    assert (args.cluster, args.game, str(args.videos)) == ("auto", "It's $1", "/d/my videos")


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_cluster_is_taken_down_however_it_ends(stage, code):
    stage.tool("ray", f'[ "$1" != exec ] || exit {code}; [ "$1" != up ] || cat "${{@: -1}}"')
    done = stage.run("label_ray.sh", *HOSTS, *LABEL)
    assert done.returncode == code
    assert [call[1] for call in stage.calls] == ["get-auth-token", "up", "exec", "down"]
    made = yaml.safe_load(done.stdout)
    assert made["cluster_name"] == "nitrogen-label"
    assert not Path(stage.calls[1][-1]).exists()


def test_a_cluster_that_is_kept(stage):
    stage.tool("ray")
    done = stage.run("label_ray.sh", *HOSTS, "--keep", *LABEL)
    assert [call[1] for call in stage.calls] == ["get-auth-token", "up", "exec"]
    assert Path(done.stdout.split("ray down ")[1].strip()).exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (LABEL, "--hosts or --project is needed"),
        ((*HOSTS, *CLOUD, *LABEL), "exclude each other"),
        ((*HOSTS,), "--videos is missing after --"),
        ((*HOSTS, "--", "--videos", "a", "--skins", "b"), "--out is missing after --"),
        ((*HOSTS, *LABEL, "--cluster", "auto"), "--cluster is not for this script"),
        (("--project", "p", *LABEL), "--zone is needed"),
        ((*CLOUD[:4], *LABEL), "--nfs is needed"),
        (("--hosts", "a b", *LABEL), "--hosts is 'a b'"),
        ((*HOSTS, "--name", "A b", *LABEL), "the name 'A b'"),
        ((*CLOUD, "--nodes", "0", *LABEL), "--nodes is '0'"),
        ((*HOSTS, "--nonsense", "1", *LABEL), "there is no option --nonsense"),
        ((*HOSTS, "videos", *LABEL), "'videos' has to come after --"),
        ((*HOSTS, "--user"), "--user needs a value"),
    ],
)
def test_bad_usage_is_one_sentence_and_2(stage, arguments, complaint):
    done = stage.run("label_ray.sh", "--dry-run", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert stage.calls == []


def test_help_names_every_option(stage):
    done = stage.run("label_ray.sh", "--help")
    assert done.returncode == 0
    text = (ROOT / "launch" / "label_ray.sh").read_text()
    known = set(re.findall(r"^ {4}(--[a-z-]+)\b.*\)", text, re.M))
    assert len(known) > 12
    assert known - {"--help"} <= set(re.findall(r"--[a-z-]+", done.stdout))
