#!/usr/bin/env bash
# Triton for the tests that run the depth decoder's kernels in its interpreter, outside the checkout and the environment.
#
#   tests/triton_env.sh             prints the folder to put on PYTHONPATH; fetches it on the first call (640 MB, seconds)
#   tests/triton_env.sh --if-built  prints it only if it is there, else exits with 3
#
# 3.6.0 is what torch 2.11 on the GPU hosts has. Its interpreter turns one-element arrays into numbers, which NumPy 2.4
# no longer does, hence a NumPy of its own. Apart, because torch changes its ways where it finds a Triton.
set -euo pipefail
folder=${ZENG_TRITON_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/zeng/triton-3.6.0}
stamp=$folder/.installed
if [[ ! -e $stamp && ${1:-} == --if-built ]]; then
  exit 3
fi
if [[ ! -e $stamp ]]; then
  "${PYTHON:-python3.11}" -m pip --disable-pip-version-check -q install --no-deps --upgrade --target "$folder" \
    triton==3.6.0 numpy==2.2.6 >&2
  touch "$stamp"
fi
echo "$folder"
