#!/bin/sh
# The second run of the demonstration voice (docs/demo-voice.md) in BUDGET_S seconds on one GPU:
#
#   sh tests/gpu/demo_voice.sh              all of it
#   sh tests/gpu/demo_voice.sh data         sentences, recordings, codes: mostly the processor's work
#   sh tests/gpu/demo_voice.sh base         Turkish and English from random weights, or on from the newest base
#   sh tests/gpu/demo_voice.sh voice        Azerbaijani by LoRA, and gate 2 on both
#
# What is in $WORK is not made again, so one call goes on where the last one on this machine ended. $INPUT holds what the
# first run left (codec/, judge.safetensors) and, to go on with a base of another machine, base/ (`finetune.demo whole`).
# Results go to $OUT in at most 8 files under 16 MB.
set -eu
began=$(date +%s)
end=$((began + ${BUDGET_S:-540}))
work=${WORK:-/tmp/demo-voice}
input=${INPUT:-finetune/demo/weights}
python=${PYTHON:-python3}
recipes=finetune/recipes
stages=${*:-data base voice}
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ -d .whl ] && [ -z "${NO_WHEELS:-}" ]; then
    site=${SITE:-/tmp/demo-site}
    [ -d "$site" ] || $python -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .whl/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
mkdir -p "$OUT" "$work/logs" "$work/runs"
since() { echo "[$(($(date +%s) - began)) s] $*"; }
demo() { $python -m finetune.demo "$@"; }
logged() { # a log, and a command whose failure ends everything
    log=$work/logs/$1.log
    shift
    "$@" >"$log" 2>&1 || { tail -n 40 "$log"; exit 1; }
}
newest() { # the newest run of a name that has come to a check
    ls -d "$work/runs/$1"-*/best 2>/dev/null | sort -V | tail -n 1
}
next() { # a folder for another run of a name
    echo "$work/runs/$1-$(($(ls -d "$work/runs/$1"-[0-9]* 2>/dev/null | grep -vc trial) + 1))"
}
hears() { # name of the voice, its folder, language, and options
    name=$1 voice=$2 language=$3
    shift 3
    demo listen "$work" --voice "$voice" --name "$name" --language "$language" --judge "$input/judge.safetensors" \
        "$@" ${LISTEN:-} >>"$work/logs/listen.log" 2>&1
}
packed() { # whatever there is, in few and small files
    code=$?
    trap - EXIT
    rm -rf "$work/result" "$OUT"/result.tar.*
    mkdir "$work/result"
    cp "$work"/table.jsonl "$work"/gate2.json "$OUT" 2>/dev/null || true
    cp -r "$work/logs" "$work/result"
    cp "$work"/base/tokenizer*.json "$work"/base/config.json "$work/result" 2>/dev/null || true
    base=$(newest base) az=$(newest az)
    [ -z "$base" ] || demo weights "$base" "$work/result/base.safetensors" || true
    [ -z "$az" ] || cp -r "$az" "$work/result/adapter"
    for run in "$work"/runs/*-[0-9]*; do
        [ ! -e "$run/metrics.jsonl" ] || cp "$run/metrics.jsonl" "$work/result/$(basename "$run").jsonl"
    done
    [ ! -d "$work/samples" ] || cp -r "$work/samples" "$work/result"
    tar cf - -C "$work" result | split -b 15000000 - "$OUT/result.tar."
    since "ends with $code"
    exit $code
}

data() {
    [ -e "$work/sentences.jsonl" ] || logged corpus demo corpus "$work" ${CORPUS:---az 2400 --tr 24000 --en 5000 --held-out 250}
    since corpus
    begin=
    [ ! -d "$input/base" ] || begin="--begin $input/base"
    [ -e "$work/base/config.json" ] || logged tokens demo base "$work" --codec "$input/codec" $begin ${BASE:-}
    { # beside the base's codes: the way of a user's recordings
        [ -e "$work/recordings/manifest.jsonl" ] || demo recordings "$work" --minutes "${MINUTES:-60}" --speakers 0,1
        [ -e "$work/az/prepared.json" ] || $python -m finetune prepare "$recipes/prepare.yaml" \
            --set corpus="$work/recordings" --set output="$work/az" --set codec="$work/base" \
            ${PREPARE:---set filters.snr_min_db=0}
    } >"$work/logs/prepare.log" 2>&1 &
    prepared=$!
    [ -e "$work/base-data/prepared.json" ] || logged codes demo codes "$work" ${CODES:-}
    since "codes: $(tail -n 1 "$work/logs/codes.log")"
    wait $prepared || { tail -n 40 "$work/logs/prepare.log"; exit 1; }
    tail -n 5 "$work/logs/prepare.log"
}

base() {
    last=$(newest base)
    run=$(next base)
    logged "$(basename "$run")" demo learn "$recipes/demo_base.yaml" --until $((end - ${AFTER_S:-170})) \
        --set base="${last:-$work/base}" --set data="$work/base-data" --set output="$run" ${BASE_TRAIN:-}
    grep -E 'takes|check' "$work/logs/$(basename "$run").log"
    since base
}

voice() {
    base=$(newest base)
    rm -rf "$work/table.jsonl" "$work/gate2.json" "$work/samples" "$work/logs/listen.log" # of an earlier base
    hears base "$base" az --samples 2 &
    base_az=$!
    hears base "$base" tr --samples 2 &
    base_tr=$!
    run=$(next az)
    logged "$(basename "$run")" demo learn "$recipes/demo_voice.yaml" --until $((end - ${LISTEN_S:-70})) \
        --set base="$base" --set data="$work/az" --set output="$run" ${AZ_TRAIN:-}
    grep -E 'takes|check' "$work/logs/$(basename "$run").log"
    since adapted
    wait $base_az $base_tr || true
    waiting=
    for temperature in ${TEMPERATURES-0.3 0.6 0.9}; do
        hears adapted "$base" az --adapter "$run/best" --speakers 0,1 --temperature "$temperature" --samples 10 &
        waiting="$waiting $!"
    done
    wait $waiting || true
    demo gate2 "$work" --judge "$input/judge.safetensors" --codec "$input/codec" || true
}

trap packed EXIT
for stage in $stages; do
    case $stage in
    data | base | voice) $stage ;;
    *) echo "no stage $stage" >&2; exit 2 ;;
    esac
done
