#!/bin/sh
# Writes requirements.lock: every package of every extra but vllm and bench, resolved together in a new environment.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet torch==2.13.0
"$dir/venv/bin/python" -m pip install --quiet --editable '.[bot,tts,espeak,finetune,loadtest,quality,dev]'
{
  echo "# Constraints of all extras, for \`pip install --constraint\`. Written by \`make lock\`."
  "$dir/venv/bin/python" -m pip freeze --exclude-editable --exclude zeng | sed 's/+cpu$//; s/ @ file.*//'
  echo "async-timeout==5.0.1" # redis wants it before Python 3.11.3, which Debian 12 has
} > requirements.lock
