#!/bin/sh
# Debian packages that the tests call as peers. Installs what is missing as root; prints the command elsewhere.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need sipp sip-tester
need baresip baresip-core
need chromium chromium
need kamailio "kamailio kamailio-extra-modules kamailio-tls-modules kamailio-websocket-modules" # 10 MB
need rtpengine rtpengine-daemon # 17 MB with its codecs
need turnserver coturn
need linphonec linphone-cli
need redis-server redis-server
need espeak-ng espeak-ng
need ip iproute2
need iptables iptables
need g++ g++
include=$("${PYTHON:-python3}" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -e "$include/Python.h" ] || missing="$missing python3-dev"
[ -z "$missing" ] && exit 0
command="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $command -qq >/dev/null
else
  echo "The tests need these programs; install them with:" >&2
  echo "  sudo $command" >&2
  exit 1
fi
