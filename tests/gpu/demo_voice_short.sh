#!/bin/sh
# demo_voice.sh in 225 s: a base of two minutes, its adaptation, and little listening to the latter (a processor can do that).
export BUDGET_S="${BUDGET_S:-225}" AFTER_S="${AFTER_S:-70}" LISTEN_S="${LISTEN_S:-25}" TEMPERATURES="${TEMPERATURES-0.6}"
export CORPUS="${CORPUS:---az 1600 --tr 10000 --en 2000 --held-out 120}"
export BASE_TRAIN="${BASE_TRAIN:---set checks.every_steps=100000}"
export AZ_TRAIN="${AZ_TRAIN:---end-s 8}"
exec sh "$(dirname "$0")/demo_voice.sh" "$@"
