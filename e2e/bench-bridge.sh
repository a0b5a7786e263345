#!/usr/bin/env bash
# The bridge between a Zeek-like process on libzmq and nodes on NATS: events from it to
# a Picket worker, with answers the way back, and batches of conn.log's rows to a Picket
# logger. Prints rates and the CPU of each process. Needs gcc and libzmq3-dev.
#
#   e2e/bench-bridge.sh [RUNS] [EVENTS] [BATCHES] [WINDOW]
set -euo pipefail
cd "$(dirname "$0")/.."
command -v gcc >/dev/null && [ -e /usr/include/zmq.h ] || { echo 'skipped: needs gcc and libzmq3-dev'; exit 0; }
export GOGC=${GOGC:-400}
runs=${1:-6} events=${2:-512000} batches=${3:-1000} WINDOW=${4:-7000}
export WINDOW
dir=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$dir"' EXIT
gcc -O2 -o "$dir/peer" internal/oracle/libzmq/peer.c -lzmq
CGO_ENABLED=0 go build -o "$dir/busnode" ./e2e/busnode
read -r counter rows < <("$dir/busnode" frames "$dir")
TIMEFORMAT='zeek cpu user %Us system %Ss'
for run in $(seq "$runs"); do
  d="$dir/$run"
  mkdir "$d"
  mkfifo "$d/hub.in" "$d/logger.in"
  BUSNODE_LOGGER=tcp://127.0.0.1:$((20000 + RANDOM % 20000)) "$dir/busnode" bridge "$d" <"$d/hub.in" >"$d/hub" &
  hub=$!
  exec 8>"$d/hub.in"
  until [ "$(wc -l <"$d/hub")" = 4 ]; do sleep 0.02; done
  { read -r url; read -r xpub; read -r xsub; read -r log; } <"$d/hub"
  timeout 60 "$dir/busnode" sub "$url" worker-2 "$events" >"$d/sub" 8>&- &
  sub=$!
  until grep -q ready "$d/sub"; do sleep 0.02; done
  zeek=$( { time FRAMES="$dir/event" COUNTER=$counter timeout 60 "$dir/peer" frames "$xsub" "$xpub" "$events" 8>&-; } 2>&1 )
  wait $sub
  echo "events: $(tail -1 "$d/sub"); $zeek"
  BUSNODE_ROWS=$((batches * rows)) "$dir/busnode" logger "$url" "$d" <"$d/logger.in" >"$d/logger" 8>&- &
  logger=$!
  exec 9>"$d/logger.in"
  until grep -q ready "$d/logger"; do sleep 0.02; done
  zeek=$( { time FRAMES="$dir/batch" timeout 60 "$dir/peer" batches "$log" "$batches" 8>&- 9>&-; } 2>&1 )
  exec 9>&-
  wait $logger
  echo "rows: $(tail -1 "$d/logger"); $zeek"
  exec 8>&-
  wait $hub
  echo "    $(tail -1 "$d/hub"); $(grep -vc '^#' "$d/conn.log") lines"
  rm -rf "$d"
done
