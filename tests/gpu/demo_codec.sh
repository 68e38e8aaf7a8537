#!/bin/sh
# The first run of the demonstration voice (docs/demo-voice.md): corpus, both meters, codec and gate 1, in BUDGET_S
# seconds on one GPU. Wheels that the machine lacks are taken from .whl/. Results go to $OUT in files under 16 MB:
# logs, and codec.tar.* (cat them together) with codec/, both meters, gate1.json and samples/.
set -eu
began=$(date +%s)
end=$((began + ${BUDGET_S:-540}))
work=${WORK:-/tmp/demo-voice}
python=${PYTHON:-python3}
training=${TRAINING:-} shape=${SHAPE:-}
[ -n "$training" ] || training='{}'
[ -n "$shape" ] || shape='{}'
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ -d .whl ] && [ -z "${NO_WHEELS:-}" ]; then
    $python -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
    export PYTHONPATH=/tmp/site
fi
mkdir -p "$OUT" "$work"
since() { echo "[$(($(date +%s) - began)) s] $*"; }

$python -m finetune.demo corpus "$work" ${CORPUS:---az 8000 --tr 5000 --en 3000 --held-out 150}
since corpus
{
    $python -m finetune.demo meter "$work" guide --seconds "${GUIDE_S:-75}" ${METER:-}
    $python -m finetune.demo meter "$work" judge --seconds "${JUDGE_S:-100}" ${METER:-}
} >"$OUT/meter.log" 2>&1 &
meters=$!
$python -m finetune.demo codec "$work" --until $((end - ${TAIL_S:-55})) \
    --settings "$training" --shape "$shape" >"$OUT/codec.log" 2>&1 || failed=$?
tail -n 25 "$OUT/codec.log"
since codec "${failed:-}"
wait $meters || true
grep CER "$OUT/meter.log" || tail -n 20 "$OUT/meter.log"
[ -n "${failed:-}" ] || $python -m finetune.demo gate "$work" 2>&1 | tee "$OUT/gate.log"
(cd "$work" && tar cf - $(ls -d codec guide.safetensors judge.safetensors gate1.json samples 2>/dev/null)) |
    split -b 15000000 - "$OUT/codec.tar."
since done
exit "${failed:-0}"
