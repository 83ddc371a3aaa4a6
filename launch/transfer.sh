#!/usr/bin/env bash
# The transfer study: pre-trains a small policy on scripted play of ten tasks, fine-tunes it on
# two that are held out, and compares it with the same policy from scratch.
#
#   launch/transfer.sh [OPTIONS] [--a=value ...]
#
#   launch/transfer.sh --out runs/transfer
#   launch/transfer.sh --short --out runs/transfer-short       all of it in the small
#   launch/transfer.sh --out runs/transfer --only 'train-*'    the trainings alone, on a GPU say
#   launch/transfer.sh --out runs/transfer --list              every stage with its command
#
# Sets up .venv first if that was not done; all games come from pip. The same command again goes on
# where it was stopped, also after kill -9. What comes of it is in OUT/report; what came of it once
# is in launch/transfer/. Other options are those of `nitrogen study transfer`.
#
#   --out DIR       all that is made; runs/transfer
#   --extra NAME    what to install beside [jax,games,label]: cuda, cuda13 or none; cuda where there
#                   is an NVIDIA GPU
#   --dry-run       print what would be run
#   --help
#
#   VENV     the environment (default: .venv in the checkout)
#   PYTHON   the interpreter for a new environment (default: python3)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/setup.sh"
source "$root/launch/common.sh"

DRY_RUN="" out=runs/transfer extra="" rest=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage "$0" && exit ;;
    --dry-run) DRY_RUN=1 && shift ;;
    --out) needs "$1" $# && out=$2 && shift 2 ;;
    --extra) needs "$1" $# && extra=$2 && shift 2 ;;
    *) rest+=("$1") && shift ;;
  esac
done
if [ -z "$extra" ]; then
  extra=none
  ! nvidia-smi >/dev/null 2>&1 || extra=cuda
fi
extras=jax,games,label
[ "$extra" = none ] || extras+=,$extra
[[ $out == /* ]] || out=$PWD/$out

# procgen PYTHON: Procgen needs an old NumPy, and so packages of its own.
procgen() {
  local line
  line=$("$1" -c 'from nitrogen_jax.sim.adapters import procgen_python as own
print(own.install_line() if own.lacking() else "")')
  if [ -n "$line" ]; then
    echo "installing Procgen: $line"
    bash -c "$line"
  fi
}

venv=${VENV:-$root/.venv}
show source "$root/launch/setup.sh"
run setup_venv "$venv" "$extras"
dry "Procgen, in a Python of its own, unless it is there"
[ -n "$DRY_RUN" ] || procgen "$venv/bin/python"
show cd "$root"
cd "$root"  # where the recipe names its configs from
run exec "$venv/bin/nitrogen" study transfer --out "$out" "${rest[@]}"
