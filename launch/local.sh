#!/usr/bin/env bash
# Trains on this machine with all its devices: a CPU, one GPU, or all GPUs of a node.
#
#   launch/local.sh [OPTIONS] CONFIG OUT [--a.b=value ...]
#
#   launch/local.sh configs/nitrogen_tiny.py runs/tiny
#   launch/local.sh configs/nitrogen_500m_pretrain.py runs/pretrain --mesh.fsdp=8
#   launch/local.sh --processes 8 configs/nitrogen_500m_finetune.py runs/mygame
#
# Sets up .venv first if that was not done. The same command again goes on from the newest
# checkpoint. One process uses all devices; --processes divides the GPUs between several that talk
# over loopback. Ctrl-C and SIGTERM end the training once it has saved. When one of several
# processes fails, the others are stopped.
#
#   --processes N   how many; 1
#   --port N        of the first process, if there are several; one that goes with OUT
#   --grace S       seconds that the others have to end when one has failed; 30
#   --extra NAME    what to install beside [jax]: cuda, cuda13, tpu or none; cuda where there is
#                   an NVIDIA GPU
#   --dry-run       print what would be run
#   --help
#
#   VENV     the environment (default: .venv in the checkout)
#   PYTHON   the interpreter for a new environment (default: python3)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/setup.sh"
source "$root/launch/common.sh"

DRY_RUN="" processes=1 port="" extra="" grace=30
while [[ ${1:-} == -* ]]; do
  case $1 in
    --help | -h) usage "$0" && exit ;;
    --dry-run) DRY_RUN=1 && shift && continue ;;
    --processes | --port | --grace | --extra) needs "$1" $# ;;
    *) fail "there is no option $1 before CONFIG: see --help" ;;
  esac
  case $1 in
    --processes) whole "$1" "$2" && processes=$2 ;;
    --port) whole "$1" "$2" && port=$2 ;;
    --grace) whole "$1" "$2" && grace=$2 ;;
    --extra) extra=$2 ;;
  esac
  shift 2
done
[ $# -ge 2 ] || fail "CONFIG and OUT are needed: see --help"
config=$1 out=$2
shift 2
[ -f "$config" ] || fail "config $config does not exist"

# gpus: what CUDA_VISIBLE_DEVICES would be for all GPUs, one a line.
gpus() {
  if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    tr , '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep . || true
  elif command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | tr -d ' ' || true
  fi
}

# free_port PORT: the first one from there on at which nothing listens on this machine.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    port=$((port + 1))
  done
  echo "$port"
}

mapfile -t devices < <(gpus)
if ((processes > 1 && ${#devices[@]} % processes)); then
  fail "--processes $processes does not divide the ${#devices[@]} GPUs"
fi
if [ -z "$extra" ]; then
  extra=none
  [ ${#devices[@]} = 0 ] || extra=cuda
fi
extras=jax
[ "$extra" = none ] || extras+=,$extra

venv=${VENV:-$root/.venv}
show source "$root/launch/setup.sh"
run setup_venv "$venv" "$extras"
train=("$venv/bin/nitrogen" train --config "$config" --out "$out" --resume "$@")
if [ "$processes" = 1 ]; then
  run exec "${train[@]}"
  exit
fi

port=$(free_port "${port:-$(port_for "$out")}")
each=$((${#devices[@]} / processes))
pids=() stopping=""

# stop: asks all processes to save and end.
stop() {
  stopping=1
  kill -TERM "${pids[@]}" 2>/dev/null || true
}

trap stop TERM INT
for ((id = 0; id < processes; id++)); do
  command=("${train[@]}" --coordinator "127.0.0.1:$port" --processes "$processes")
  command+=(--process-id "$id")
  if ((each)); then
    mine=("${devices[@]:id*each:each}")
    command=(env "CUDA_VISIBLE_DEVICES=$(IFS=, && echo "${mine[*]}")" "${command[@]}")
  fi
  if [ -n "$DRY_RUN" ]; then
    echo "$(quoted "${command[@]}") &"
  else
    "${command[@]}" &
    pids+=($!)
  fi
done
dry "wait for all; when one fails: SIGTERM to the others, SIGKILL after $grace s"
[ -z "$DRY_RUN" ] || exit 0
[ -z "$stopping" ] || stop  # the signal came while they were being started

code=0 alarm=""
running=("${pids[@]}")
while ((${#running[@]})); do
  ended="" status=0
  wait -n -p ended "${running[@]}" $alarm || status=$?
  if [ -z "${ended:-}" ]; then
    ((status > 128)) || break  # else a signal came
    continue
  fi
  if [ "$ended" = "$alarm" ]; then
    kill -KILL "${running[@]}" 2>/dev/null || true
    alarm=""
    continue
  fi
  left=()
  for pid in "${running[@]}"; do
    [ "$pid" = "$ended" ] || left+=("$pid")
  done
  running=("${left[@]}")
  if ((status && !code)); then
    code=$status
    echo "local.sh: process $ended ended with $status: stopping the others" >&2
    stop
    # NOTE: they may wait for the one that is gone, for ever.
    sleep "$grace" &
    alarm=$!
  fi
done
[ -z "$alarm" ] || kill "$alarm" 2>/dev/null || true
exit "$code"
