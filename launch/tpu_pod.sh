#!/usr/bin/env bash
# Trains on all hosts of a Cloud TPU slice: copies the checkout, installs, runs, and goes on from
# the newest checkpoint when the slice was taken away.
#
#   launch/tpu_pod.sh --name POD --zone ZONE [OPTIONS] CONFIG OUT [--a.b=value ...]
#
#   launch/tpu_pod.sh --name pod --zone us-west4-a --bucket my-runs \
#     configs/nitrogen_500m_pretrain.py runs/pretrain --mesh.fsdp=4
#   launch/tpu_pod.sh --name pod --zone us-west4-a --bucket my-runs --create v5litepod-16 \
#     --version v2-alpha-tpuv5-lite --spot --queued \
#     configs/nitrogen_500m_pretrain.py runs/pretrain --mesh.fsdp=4
#
# It watches the training until its end, so run it where the network is steady, in tmux on a small
# machine in the same zone. Ctrl-C ends the training once it has saved. CONFIG is a path in the checkout. OUT is a path on the hosts and must be
# one folder for all of them and outlive the slice: with --bucket it lies in that bucket, which each
# host mounts with gcsfuse (a bucket with hierarchical namespace, or else a checkpoint is not
# renamed in one piece); without, it lies on a disk that you have mounted, for example Filestore.
#
#   --project P       of Google Cloud; gcloud's own default
#   --bucket NAME     OUT is a folder of this bucket; so may the config's records be: /mnt/NAME/...
#   --create TYPE     create the slice if it is not there, for example v5litepod-16
#   --version V       the software of a created slice; v2-alpha-tpuv5-lite
#   --spot            create it as a spot slice, cheaper and taken away at any time
#   --queued          create it as a queued resource, and wait for it
#   --attempts N      how often it is started at most; 100
#   --pause S         seconds between two attempts, and between two looks at a slice; 30
#   --delete          delete the slice at the end
#   --dry-run         print what would be run; needs no gcloud
#   --help
# shellcheck disable=SC2016
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/common.sh"

DRY_RUN="" name="" zone="" project="" bucket="" create="" version=v2-alpha-tpuv5-lite
spot="" queued="" delete="" attempts=100
pause=30
quick=120  # seconds: an attempt that ends sooner than this, on a slice that is there, is no preemption
while [[ ${1:-} == -* ]]; do
  case $1 in
    --help | -h) usage "$0" && exit ;;
    --dry-run) DRY_RUN=1 && shift && continue ;;
    --spot) spot=1 && shift && continue ;;
    --queued) queued=1 && shift && continue ;;
    --delete) delete=1 && shift && continue ;;
    --name | --zone | --project | --bucket | --create | --version) needs "$1" $# ;;
    --attempts | --pause) needs "$1" $# ;;
    *) fail "there is no option $1 before CONFIG: see --help" ;;
  esac
  case $1 in
    --name) name=$2 ;;
    --zone) zone=$2 ;;
    --project) project=$2 ;;
    --bucket) bucket=$2 ;;
    --create) create=$2 ;;
    --version) version=$2 ;;
    --attempts) whole "$1" "$2" && attempts=$2 ;;
    --pause) whole "$1" "$2" && pause=$2 ;;
  esac
  shift 2
done
[ $# -ge 2 ] || fail "CONFIG and OUT are needed: see --help"
[ -n "$name" ] || fail "--name is needed: see --help"
[ -n "$zone" ] || fail "--zone is needed: see --help"
config=$1 out=$2
shift 2
[[ $config != /* && -f $root/$config ]] ||
  fail "config $config is not the path of a file in the checkout $root"
if [ -n "$bucket" ]; then
  [[ $out != /* ]] || fail "OUT is $out, where a folder of the bucket $bucket is needed"
  out=/mnt/$bucket/$out
fi
[[ $out == /* ]] || fail "OUT is $out, where an absolute path is needed, or --bucket"

where=(--zone "$zone")
[ -z "$project" ] || where+=(--project "$project")
vm=(gcloud compute tpus tpu-vm)
queue=(gcloud compute tpus queued-resources)

# What the hosts run, each a line of shell.
# NOTE: a start whose connection broke may still hold the TPU; it saves first.
stop='pid=$(cat nitrogen.pid 2>/dev/null); for i in $(seq 150); do '
stop+='grep -qs nitrogen "/proc/$pid/cmdline" || break; '
stop+='[ "$i" != 1 ] || kill -TERM "$pid"; sleep 1; done'
unpack='rm -rf nitrogen_jax && mkdir nitrogen_jax && tar -xzf nitrogen_jax.tar.gz -C nitrogen_jax'
# The systems of some TPU images have Python 3.10 alone, which is too old.
python='PYTHON=$(command -v python3.13 python3.12 python3.11 | head -n 1); if [ -z "$PYTHON" ]; '
python+='then sudo apt-get update -q && sudo apt-get install -q -y python3.11 python3.11-venv && '
python+='PYTHON=python3.11; fi; export PYTHON'
install='source nitrogen_jax/launch/setup.sh && setup_venv ~/nitrogen_venv jax,tpu'
mount=""
if [ -n "$bucket" ]; then
  mount="mountpoint -q /mnt/$bucket || (sudo mkdir -p /mnt/$bucket && "
  mount+="sudo chown \"\$USER\" /mnt/$bucket && gcsfuse --implicit-dirs $bucket /mnt/$bucket)"
fi
train=$(quoted nitrogen train --config "$config" --out "$out" --resume "$@")
start='cd nitrogen_jax && echo $$ >../nitrogen.pid && exec ../nitrogen_venv/bin/'$train
look="grep -Eqs '$FINISHED' $(quoted "$out/result.json")"

# on WORKER COMMAND: runs it on one host or, on "all", on every host at once.
on() {
  run "${vm[@]}" ssh "$name" "${where[@]}" --worker="$1" --command="$2"
}

# state: READY, PREEMPTED, ... or nothing where there is no such slice.
state() {
  "${vm[@]}" describe "$name" "${where[@]}" --format='value(state)' 2>/dev/null || true
}

# queue_state: the same of the queued resource: WAITING_FOR_RESOURCES, ACTIVE, SUSPENDED, ...
queue_state() {
  "${queue[@]}" describe "$name" "${where[@]}" --format='value(state.state)' 2>/dev/null || true
}

# remove: deletes the slice, whatever state it is in.
remove() {
  if [ -n "$queued" ]; then
    run "${queue[@]}" delete "$name" "${where[@]}" --force --quiet
  else
    run "${vm[@]}" delete "$name" "${where[@]}" --quiet
  fi
}

# make: creates the slice.
make() {
  local kind=()
  [ -z "$spot" ] || kind=(--spot)
  if [ -n "$queued" ]; then
    run "${queue[@]}" create "$name" --node-id "$name" "${where[@]}" \
      --accelerator-type "$create" --runtime-version "$version" "${kind[@]}"
  else
    run "${vm[@]}" create "$name" "${where[@]}" \
      --accelerator-type "$create" --version "$version" "${kind[@]}"
  fi
}

# ensure: returns once the slice is READY, or with 1 if it cannot be had now.
ensure() {
  local now
  now=$(state)
  if [ -z "$create" ]; then
    [ "$now" = READY ] || fail "slice $name is ${now:-not there}; --create TYPE would create it"
    return
  fi
  [ -z "$queued" ] || now=$(queue_state)
  case $now in
    PREEMPTED | TERMINATED | STOPPED | SUSPENDED | FAILED) remove && now="" ;;
  esac
  [ -n "$now" ] || make || return
  while [ "$(state)" != READY ]; do
    case $([ -z "$queued" ] || queue_state) in
      SUSPENDED | FAILED) return 1 ;;
    esac
    sleep "$pause"
  done
}

# prepare: brings the checkout as it is now to every host and installs it.
prepare() {
  run tar -czf "$archive" -C "$root" --exclude=__pycache__ \
    nitrogen_jax configs launch setup.cfg pyproject.toml README.md LICENSE &&
    on all "$stop" &&
    run "${vm[@]}" scp "$archive" "$name:nitrogen_jax.tar.gz" "${where[@]}" --worker=all &&
    on all "$unpack && { $python; } && $install${mount:+ && { $mount; }}"
}

# end: lets the hosts save and end.
# shellcheck disable=SC2317,SC2329
end() {
  stopping=1
  on all "$stop" || true
}

if [ -n "$DRY_RUN" ]; then
  archive=nitrogen_jax.tar.gz
  if [ -n "$create" ]; then
    dry "if there is no slice $name, or it was taken away (then it is deleted first):"
    make
    dry "once it is READY, looking every $pause s:"
  fi
  prepare
  on all "$start"
  dry "is it finished?"
  on 0 "$look"
  dry "if not: all of this again after $pause s, at most $attempts times; not if it ended with 2"
  dry "(bad usage), nor after 3 ends within $quick s while the slice was READY"
  [ -z "$delete" ] || { dry "at the end:" && remove; }
  exit
fi

archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
early=0 stopping=""
trap end TERM INT
for ((attempt = 1; attempt <= attempts; attempt++)); do
  echo "tpu_pod.sh: attempt $attempt of $attempts"
  code=0 began=$SECONDS
  if ensure; then
    # NOTE: in the background, so that a signal does not wait for its end.
    { prepare && on all "$start"; } &
    wait_for $! || code=$?
    if on 0 "$look"; then
      [ -z "$delete" ] || remove
      echo "tpu_pod.sh: finished: $out"
      exit 0
    fi
    [ "$code" != 2 ] || exit 2
  fi
  [ -z "$stopping" ] || exit 130
  now=$(state)
  if [ "$now" = READY ] && ((SECONDS - began < quick)); then
    early=$((early + 1))
    ((early < 3)) || { echo "tpu_pod.sh: failed 3 times at once, last with $code" >&2 && exit 1; }
  else
    early=0
  fi
  echo "tpu_pod.sh: ended with $code, the slice is ${now:-gone}; again in $pause s"
  sleep "$pause"
done
echo "tpu_pod.sh: not finished after $attempts attempts" >&2
exit 1
