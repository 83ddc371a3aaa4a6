#!/usr/bin/env bash
# Sets up .venv-test, then runs ruff and the tests. Options go on to pytest.
#
#   ./launch/test.sh
#   ./launch/test.sh -n 4 tests/models        four processes (two are usual), one folder
#   ./launch/test.sh -m ""                    also the tests that take minutes
#
#   PYTHON             the interpreter for a new environment (default: python3)
#   VENV               the environment (default: .venv-test in the checkout)
#   NITROGEN_REQUIRE   extras to install whose tests may not be skipped, for example
#                      parity,tpu,bake,cluster; other words, such as apt, forbid skips that name them
#
# The parity tests compare with PyTorch. Its CPU build is installed where pip can find one: on
# Linux that takes PIP_EXTRA_INDEX_URL (PyTorch's own index of CPU wheels) or PIP_FIND_LINKS (a
# folder with the wheel), because pip's default there is a CUDA build of several gigabytes.
# Without one the parity tests are skipped; NITROGEN_REQUIRE=parity installs whatever pip offers.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/setup.sh"
cd "$root"

venv=${VENV:-$root/.venv-test}
required=${NITROGEN_REQUIRE:-}

# cpu_torch: the newest CPU build of PyTorch 2.13 that pip can see, as a version, or nothing.
cpu_torch() {
  local versions
  versions=$("$venv/bin/python" -m pip index versions torch 2>/dev/null | tr ', ()' '\n') || true
  if [ "$(uname -s)" = Linux ]; then
    grep -m 1 -E '^2\.13\.[0-9.]+\+cpu$' <<<"$versions" || true
  else
    grep -m 1 -E '^2\.13\.[0-9.]+$' <<<"$versions" || true
  fi
}

# The CPU build comes first: it then satisfies [parity], and pip looks for no other.
"$venv/bin/python" -c '' 2>/dev/null || new_venv "$venv"
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
  version=$(cpu_torch)
  if [ -n "$version" ]; then
    echo "installing torch $version in $venv"
    "$venv/bin/python" -m pip install --quiet "torch==$version"
  fi
fi
extras=jax,dev
for name in ${required//,/ }; do
  grep -qx "$name =" setup.cfg && extras+=,$name
done
if [[ ,$extras, != *,parity,* ]]; then
  if "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    extras+=,parity
  else
    echo "no CPU build of PyTorch in reach: parity tests are skipped (see the top of $0)"
  fi
fi
setup_venv "$venv" "$extras"

"$venv/bin/ruff" check --output-format concise
"$venv/bin/ruff" format --check
# Two processes unless something else is asked for; a file's tests share what they compile.
[[ " $* " == *" -n "* ]] || set -- -n 2 "$@"
[[ " $* " == *" --dist "* ]] || set -- --dist loadfile "$@"
exec "$venv/bin/python" -m pytest -rs --timeout 900 "$@"
