#!/bin/sh
# demo_voice.sh in 225 s: a base of two minutes, its adaptation, and no listening to the latter (a processor can do that).
export BUDGET_S=225 AFTER_S=52 LISTEN_S=6 TEMPERATURES=
export CORPUS="--az 1600 --tr 7000 --en 2500 --held-out 120"
export BASE_TRAIN="--set checks.every_steps=100000 --set method.learning_rate=0.0015 --set batches.context_share=0.1"
export AZ_TRAIN="--end-s 8 --trial-steps 30"
exec sh "$(dirname "$0")/demo_voice.sh"
