#!/bin/sh
# The second run of the demonstration voice (docs/demo-voice.md) in BUDGET_S seconds on one GPU:
#
#   sh tests/gpu/demo_voice.sh              all of it
#   sh tests/gpu/demo_voice.sh data         sentences, recordings, codes: mostly the processor's work
#   sh tests/gpu/demo_voice.sh clock        in what a step's time goes, and whether compiling pays: 40 s, or 90 with it
#   sh tests/gpu/demo_voice.sh base         Turkish and English from random weights, or on from the newest base
#   sh tests/gpu/demo_voice.sh voice        Azerbaijani by LoRA, and gate 2 on both; with AZ_TRAIN="WAY;WAY" two ways
#                                           beside each other, of which the better by what is held out is the voice
#
# What is in $WORK is not made again, so one call goes on where the last one on this machine ended. $INPUT holds what the
# first run left (codec/, judge.safetensors). $RESULT names the unpacked results of another machine, whose base is gone on
# with. Results go to $OUT in at most 8 files under 16 MB.
set -eu
began=$(date +%s)
end=$((began + ${BUDGET_S:-540}))
work=${WORK:-/tmp/demo-voice}
input=${INPUT:-finetune/demo/weights}
python=${PYTHON:-python3}
recipes=finetune/recipes
stages=${*:-data clock base voice}
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} TORCHINDUCTOR_CACHE_DIR=$work/inductor
site=${SITE:-/tmp/demo-site}
if [ -z "${NO_WHEELS:-}" ] && { [ -d .whl ] || [ -d "$site" ]; }; then
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
    echo "$work/runs/$1-$(($(ls -d "$work/runs/$1"-[0-9]* 2>/dev/null | wc -l) + 1))"
}
beginning() { # the base to go on with
    if [ -n "${RESULT:-}" ] && [ ! -d "$work/begin" ]; then
        demo whole "$work/begin" --result "$RESULT" --codec "$input/codec"
    fi
    last=$(newest base)
    [ ! -d "$work/begin" ] || last=${last:-$work/begin}
    echo "${last:-$work/base}"
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
    base=$(newest base) az=$(cat "$work/chosen" 2>/dev/null || newest az)
    az=${az%/best}
    if [ -n "$base" ]; then
        cp "$base"/tokenizer*.json "$base"/config.json "$work/result"
        demo weights "$base" "$work/result/base.safetensors" || true
    fi
    [ ! -d "$az/best" ] || cp -r "$az/best" "$work/result/adapter"
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
    [ -e "$work/base/config.json" ] || logged tokens demo base "$work" --codec "$input/codec" ${BASE:-}
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

clock() {
    timeout "${CLOCK_S:-120}" $python -m tests.gpu.step_time "$recipes/demo_base.yaml" --set base="$(beginning)" \
        --set data="$work/base-data" --set output="$work/none" --choice "$work/choice" ${CLOCK:-} \
        2>&1 | tee "$work/logs/clock.log" || true # no run fails for want of it
    since clock
}

base() {
    from=$(beginning)
    run=$(next base)
    touch "$work/choice"
    logged "$(basename "$run")" demo learn "$recipes/demo_base.yaml" --until $((end - ${AFTER_S:-150})) --end-s 15 \
        --set base="$from" --set data="$work/base-data" --set output="$run" $(cat "$work/choice") ${BASE_TRAIN:-}
    grep check "$work/logs/$(basename "$run").log"
    tail -n 1 "$work/logs/$(basename "$run").log"
    since base
}

voice() {
    base=$(beginning)
    rm -rf "$work/table.jsonl" "$work/gate2.json" "$work/samples" "$work/logs/listen.log" # of an earlier base
    hears base "$base" az --samples 2 &
    base_az=$!
    hears base "$base" tr --samples 2 &
    base_tr=$!
    trained= waiting=
    echo "${AZ_TRAIN-}" | tr ';' '\n' >"$work/ways"
    while read -r way; do # beside each other: each is bound by its own launches
        run=$(next az)
        mkdir "$run"
        echo "$way" >"$run/way"
        logged "$(basename "$run")" demo learn "$recipes/demo_voice.yaml" --until $((end - ${LISTEN_S:-70})) \
            --set base="$base" --set data="$work/az" --set output="$run" $way &
        waiting="$waiting $!" trained="$trained $run"
    done <"$work/ways"
    wait $waiting || true
    for run in $trained; do
        echo "$(basename "$run") $(cat "$run/way"): $(grep check "$work/logs/$(basename "$run").log" | tail -n 9)"
    done
    $python - $trained >"$work/chosen" <<'END'
import ast, pathlib, re, sys
def found(run):
    text = pathlib.Path(run, "result.yaml")
    best = re.search(r"best: (\{.*\})", text.read_text()) if text.exists() else None
    best = ast.literal_eval(best[1]) if best else {"stops": False, "loss": 1e9}
    return not best["stops"], best["loss"]
print(min(sys.argv[1:], key=found))
END
    chosen=$(cat "$work/chosen")
    since "adapted; chosen by what is held out: $chosen"
    wait $base_az $base_tr || true
    waiting=
    for temperature in ${TEMPERATURES-0.3 0.6 0.9}; do
        hears adapted "$base" az --adapter "$chosen/best" --speakers 0,1 --temperature "$temperature" --samples 10 &
        waiting="$waiting $!"
    done
    for run in $trained; do
        [ "$run" = "$chosen" ] || {
            hears "$(basename "$run")" "$base" az --adapter "$run/best" --speakers 0,1 --temperature 0.3 &
            waiting="$waiting $!"
        }
    done
    wait $waiting || true
    demo gate2 "$work" --judge "$input/judge.safetensors" --codec "$input/codec" || true
}

trap packed EXIT
for stage in $stages; do
    case $stage in
    data | clock | base | voice) $stage ;;
    *) echo "no stage $stage" >&2; exit 2 ;;
    esac
done
