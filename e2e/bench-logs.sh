#!/usr/bin/env bash
# Rows of conn.log from a worker process through the bus to a logger process, which
# writes TSV to a file in memory and acknowledges. Prints rows per second and the CPU
# of each process.
#
#   e2e/bench-logs.sh [RUNS] [ROWS]
set -euo pipefail
cd "$(dirname "$0")/.."
# A worker with traffic has a heap of 20 MB and more; these have nothing but events.
export GOGC=${GOGC:-400}
runs=${1:-6} rows=${2:-2000000}
dir=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -o "$dir/busnode" ./e2e/busnode
for run in $(seq "$runs"); do
  for kind in ${BUSES:-nats zeromq}; do
    d="$dir/$kind.$run"
    mkdir "$d"
    mkfifo "$d/hub.in" "$d/logger.in"
    export BUSNODE_LOGGER=tcp://127.0.0.1:$((20000 + RANDOM % 20000))
    "$dir/busnode" hub "$kind" 0 <"$d/hub.in" >"$d/hub" &
    hub=$!
    exec 8>"$d/hub.in"
    until [ -s "$d/hub" ]; do sleep 0.02; done
    url=$(head -1 "$d/hub")
    "$dir/busnode" logger "$url" "$d" <"$d/logger.in" >"$d/logger" 8>&- &
    logger=$!
    exec 9>"$d/logger.in"
    until grep -q ready "$d/logger"; do sleep 0.02; done
    echo "$kind: $(timeout 60 "$dir/busnode" rows "$url" "$d" "$rows" 8>&- 9>&-)"
    exec 9>&-
    wait $logger
    exec 8>&-
    wait $hub
    echo "    $(tail -1 "$d/logger"); $(tail -1 "$d/hub"); $(grep -vc '^#' "$d/conn.log") lines"
    rm -rf "$d"
  done
done
