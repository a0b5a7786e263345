#!/usr/bin/env bash
# Events from one worker process to another through the hub: encoded, published,
# delivered, decoded, none lost, in order. Prints events per second and the CPU of
# each process; medians are the reader's.
#
#   e2e/bench-events.sh [RUNS] [EVENTS] [WINDOW]
set -euo pipefail
cd "$(dirname "$0")/.."
# A worker with traffic has a heap of 20 MB and more; these have nothing but events.
export GOGC=${GOGC:-400}
runs=${1:-6} count=${2:-2000000} window=${3:-7000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -o "$dir/busnode" ./e2e/busnode
for run in $(seq "$runs"); do
  for kind in ${BUSES:-nats zeromq}; do
    rm -f "$dir/hub"; mkfifo "$dir/in.$kind.$run"
    "$dir/busnode" hub "$kind" 0 <"$dir/in.$kind.$run" >"$dir/hub" &
    hub=$!
    exec 9>"$dir/in.$kind.$run"
    until [ -s "$dir/hub" ] 2>/dev/null; do sleep 0.02; done
    url=$(head -1 "$dir/hub")
    if [ -n "${FAN:-}" ]; then
      echo "$kind: $(timeout 60 "$dir/busnode" fan "$url" "$FAN" "$count" 9>&-)"
    else
      timeout 60 "$dir/busnode" sub "$url" worker-2 "$count" >"$dir/sub" 9>&- &
      sub=$!
      until grep -q ready "$dir/sub"; do sleep 0.02; done
      timeout 60 "$dir/busnode" pub "$url" worker-1 worker-2 "$count" "$window" >"$dir/pub" 9>&-
      wait $sub
      echo "$kind: $(tail -1 "$dir/sub"); $(cat "$dir/pub")"
    fi
    exec 9>&-
    wait $hub
    echo "    $(tail -1 "$dir/hub")"
  done
done
