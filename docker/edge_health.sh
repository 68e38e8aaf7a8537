#!/bin/bash
# Whether Kamailio answers OPTIONS, or rtpengine a ping of its control protocol: for the health checks of compose.edge.yaml.
set -eu
case "$1" in
kamailio)
  exec 3<>"/dev/tcp/${ZENG_EDGE_IP:-127.0.0.1}/${2:-5060}"
  printf '%s\r\n' "OPTIONS sip:${ZENG_EDGE_IP:-127.0.0.1}:${2:-5060} SIP/2.0" \
    "Via: SIP/2.0/TCP health.invalid;branch=z9hG4bK$RANDOM$RANDOM;rport" "From: <sip:health.invalid>;tag=$RANDOM" \
    "To: <sip:health.invalid>" "Call-ID: $RANDOM$RANDOM" "CSeq: 1 OPTIONS" "Max-Forwards: 1" "Content-Length: 0" "" >&3
  read -r -t 3 answer <&3
  while read -r -t 3 line <&3 && [[ $line != $'\r' ]]; do :; done # to the end, or Kamailio logs a broken connection
  [[ $answer == "SIP/2.0 200 "* ]]
  ;;
rtpengine)
  exec 3<>"/dev/udp/127.0.0.1/${2:-22222}"
  printf '1 d7:command4:pinge' >&3
  read -r -t 3 -N 18 answer <&3 || [[ -n $answer ]]
  [[ $answer == *pong* ]]
  ;;
esac
