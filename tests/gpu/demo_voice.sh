#!/bin/sh
# The second run of the demonstration voice (docs/demo-voice.md): Turkish and English base, LoRA to Azerbaijani by the
# package's own commands, and what a meter understands of both; in BUDGET_S seconds on one GPU. $INPUT holds what the
# first run left (codec/, judge.safetensors) and, to go on with a base, base/. Results go to $OUT in files under 16 MB.
set -eu
began=$(date +%s)
end=$((began + ${BUDGET_S:-560}))
work=${WORK:-/tmp/demo-voice}
input=${INPUT:-.cache/demo}
python=${PYTHON:-python3}
recipes=finetune/recipes
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ -d .whl ] && [ -z "${NO_WHEELS:-}" ]; then
    $python -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
    export PYTHONPATH=/tmp/site
fi
mkdir -p "$OUT" "$work"
since() { echo "[$(($(date +%s) - began)) s] $*"; }
left() { echo $((end - $1 - $(date +%s))); }
demo() { $python -m finetune.demo "$@"; }
tuned() { # a recipe, its folders, and overrides
    recipe=$1
    shift
    $python -m finetune train "$recipes/$recipe" "$@" ${TRAIN:-}
}
packed() { # whatever there is, in few and small files
    code=$?
    mkdir -p "$work/result"
    cp "$work"/table.jsonl "$OUT" 2>/dev/null || true
    cp "$OUT"/*.log "$work/result" && rm -f "$OUT"/p*.log "$OUT"/base.log "$OUT"/az.log
    cp "$work"/runs/base/metrics.jsonl "$work/result/base-metrics.jsonl" 2>/dev/null || true
    cp "$work"/base/tokenizer*.json "$work"/base/config.json "$work/result" 2>/dev/null || true
    for folder in runs/az/best runs/az/metrics.jsonl samples; do
        [ -e "$work/$folder" ] && cp -r "$work/$folder" "$work/result/$(echo $folder | tr / -)"
    done
    tar cf - -C "$work" result | split -b 15000000 - "$OUT/result.tar."
    exit $code
}
trap packed EXIT
hears() { # name of the voice, its folder, language, and options
    name=$1 voice=$2 language=$3
    shift 3
    demo listen "$work" --voice "$voice" --name "$name" --language "$language" --judge "$input/judge.safetensors" \
        ${LISTEN:-} "$@" 2>&1 | tee -a "$OUT/listen.log"
}

demo corpus "$work" ${CORPUS:---az 1600 --tr 9000 --en 5000 --held-out 250}
since corpus
begin=
[ -d "$input/base" ] && begin="--begin $input/base"
demo base "$work" --codec "$input/codec" $begin ${BASE:-}
since codes
{
    demo recordings "$work" --minutes "${MINUTES:-60}" --speakers 0,1
    $python -m finetune prepare "$recipes/prepare.yaml" --set corpus="$work/recordings" --set output="$work/az" \
        --set codec="$work/base" ${PREPARE:-}
} >"$OUT/prepare.log" 2>&1 &
prepared=$!
set -- --set base="$work/base" --set data="$work/base-data" ${BASE_TRAIN:-}
tuned demo_base.yaml "$@" --set output="$work/runs/probe" --set schedule.steps="${PROBE:-80}" \
    --set checks.sentences=0 >"$OUT/probe.log" 2>&1 || { tail -n 30 "$OUT/probe.log"; exit 1; }
rm -rf "$work/runs/probe/last" "$work/runs/probe/best"
steps=$(demo steps "$work/runs/probe" "$(left "${AFTER_S:-175}")")
since "probe: the base has $steps steps"
tuned demo_base.yaml "$@" --set output="$work/runs/base" --set schedule.steps="$steps" >"$OUT/base.log" 2>&1 ||
    { tail -n 30 "$OUT/base.log"; exit 1; }
grep check "$OUT/base.log"
since base
wait $prepared || tail -n 20 "$OUT/prepare.log"
tail -n 4 "$OUT/prepare.log"
heard=$work/runs/base/best
{
    hears base "$heard" tr --samples 2
    hears base "$heard" en --samples 2
    hears base "$heard" az --samples 2
} >/dev/null 2>&1 &
listening=$!
mkdir -p "$work/result"
demo weights "$heard" "$work/result/base.safetensors" &
weights=$!
tuned demo_voice.yaml --set base="$heard" --set data="$work/az" --set output="$work/runs/az" ${AZ_TRAIN:-} \
    >"$OUT/az.log" 2>&1 || { tail -n 30 "$OUT/az.log"; exit 1; }
grep check "$OUT/az.log"
since adapted
wait $listening $weights || true
for temperature in 0.6 0.3 0.9; do
    [ "$(left 20)" -gt 0 ] || break
    hears adapted "$heard" az --adapter "$work/runs/az/best" --speakers 0,1 --temperature $temperature --samples 6
done
cat "$OUT/listen.log"
since done
