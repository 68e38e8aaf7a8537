#!/bin/sh
# The second run of the demonstration voice (docs/demo-voice.md): Turkish and English base, LoRA to Azerbaijani by the
# package's own training, and what a meter understands of both; in BUDGET_S seconds on one GPU. $INPUT holds what the
# first run left (codec/, judge.safetensors) and, to go on with a base, base/. Results go to $OUT in files under 16 MB.
set -eu
began=$(date +%s)
end=$((began + ${BUDGET_S:-540}))
work=${WORK:-/tmp/demo-voice}
input=${INPUT:-.cache/demo}
python=${PYTHON:-python3}
recipes=finetune/recipes
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ -d .whl ] && [ -z "${NO_WHEELS:-}" ]; then
    $python -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
    export PYTHONPATH=/tmp/site
fi
mkdir -p "$OUT" "$work/result"
since() { echo "[$(($(date +%s) - began)) s] $*"; }
demo() { $python -m finetune.demo "$@"; }
logged() { # a log, and a command whose failure ends everything
    log=$OUT/$1.log
    shift
    "$@" >"$log" 2>&1 || { tail -n 30 "$log"; exit 1; }
}
hears() { # name of the voice, its folder, language, and options
    name=$1 voice=$2 language=$3
    shift 3
    demo listen "$work" --voice "$voice" --name "$name" --language "$language" --judge "$input/judge.safetensors" \
        ${LISTEN:-} "$@" >>"$OUT/listen.log" 2>&1 &
}
packed() { # whatever there is, in few and small files
    code=$?
    cp "$work"/table.jsonl "$OUT" 2>/dev/null || true
    mv "$OUT"/prepare.log "$OUT"/base.log "$OUT"/az.log "$work/result" 2>/dev/null || true
    cp "$work"/base/tokenizer*.json "$work"/base/config.json "$work/result" 2>/dev/null || true
    for folder in runs/base/metrics.jsonl runs/az/best runs/az/metrics.jsonl samples; do
        [ -e "$work/$folder" ] && cp -r "$work/$folder" "$work/result/$(echo $folder | tr / -)"
    done
    tar cf - -C "$work" result | split -b 15000000 - "$OUT/result.tar."
    exit $code
}
trap packed EXIT

demo corpus "$work" ${CORPUS:---az 1600 --tr 9000 --en 4000 --held-out 250}
since corpus
{
    demo recordings "$work" --minutes "${MINUTES:-60}" --speakers 0,1
    while [ ! -e "$work/base/config.json" ]; do sleep 1; done
    $python -m finetune prepare "$recipes/prepare.yaml" --set corpus="$work/recordings" --set output="$work/az" \
        --set codec="$work/base" ${PREPARE:---set filters.snr_min_db=0}
} >"$OUT/prepare.log" 2>&1 &
prepared=$!
begin=
[ -d "$input/base" ] && begin="--begin $input/base"
demo base "$work" --codec "$input/codec" $begin ${BASE:-}
since codes
heard=$work/runs/base/best
logged base demo learn "$recipes/demo_base.yaml" --until $((end - ${AFTER_S:-150})) --set base="$work/base" \
    --set data="$work/base-data" --set output="$work/runs/base" ${BASE_TRAIN:-}
grep -E 'takes|check' "$OUT/base.log"
since base
demo weights "$heard" "$work/result/base.safetensors" &
weights=$!
hears base "$heard" az --samples 2
base_az=$!
hears base "$heard" tr --samples 2
base_tr=$!
wait $prepared || { tail -n 20 "$OUT/prepare.log"; exit 1; }
tail -n 6 "$OUT/prepare.log"
logged az demo learn "$recipes/demo_voice.yaml" --until $((end - ${LISTEN_S:-40})) --set base="$heard" \
    --set data="$work/az" --set output="$work/runs/az" ${AZ_TRAIN:-}
grep -E 'takes|check' "$OUT/az.log"
since adapted
wait $base_az $base_tr $weights || true
waiting=
for temperature in ${TEMPERATURES-0.6 0.3 0.9}; do
    hears adapted "$heard" az --adapter "$work/runs/az/best" --speakers 0,1 --temperature "$temperature" --samples 6
    waiting="$waiting $!"
done
wait $waiting || true
cat "$OUT/listen.log" || true
since done
