#!/usr/bin/env bash
# Our ZeroMQ beside libzmq: messages of four frames and 200 bytes, over loopback.
# Needs gcc and libzmq3-dev (apt-get install gcc libc6-dev libzmq3-dev). Runs are
# interleaved, so that other work on the machine hits all alike; medians are told.
#
#   e2e/bench-zmq.sh [RUNS] [MESSAGES]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-6} count=${2:-500000}
command -v gcc >/dev/null && [ -e /usr/include/zmq.h ] || { echo 'skipped: needs gcc and libzmq3-dev'; exit 0; }
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT
gcc -O2 -o "$dir/libzmq" internal/oracle/libzmq/peer.c -lzmq
CGO_ENABLED=0 go build -o "$dir/ours" ./bus/backend/zeromq/zmqbench
CGO_ENABLED=0 go build -o "$dir/picket" ./cmd/picket
port=$((20000 + RANDOM % 20000))
next() { port=$((port + 2)); }

"$dir/picket" broker --new-keys "$dir/keys" >/dev/null
keys() {
  export SERVER_PUBLIC=$(cat "$dir/keys/server_publickey") SERVER_SECRET=$(cat "$dir/keys/server_secretkey")
  export CLIENT_PUBLIC=$(cat "$dir/keys/client_publickey") CLIENT_SECRET=$(cat "$dir/keys/client_secretkey")
}

# push_pull SENDER RECEIVER N: prints messages per second.
push_pull() {
  next
  timeout 300 "$dir/$2" pull "tcp://127.0.0.1:$port" "$3" &
  local pull=$!
  timeout 300 "$dir/$1" push "tcp://127.0.0.1:$port" "$3"
  wait $pull
}

# through BROKER N: libzmq publisher, broker, libzmq subscriber.
through() {
  next
  local xpub=tcp://127.0.0.1:$port xsub=tcp://127.0.0.1:$((port + 1)) args=()
  if [ "$1" = libzmq ]; then
    "$dir/libzmq" proxy "$xpub" "$xsub" &
  else
    [ -z "${SERVER_PUBLIC:-}" ] || args=(--curve-dir "$dir/keys")
    "$dir/picket" broker --nodrop --queue 1000 --listen-xpub "$xpub" --listen-xsub "$xsub" ${args[@]+"${args[@]}"} 2>/dev/null &
  fi
  local broker=$!
  pids+=($broker)
  timeout 300 "$dir/libzmq" sub "$xpub" "$2" &
  local sub=$!
  timeout 300 "$dir/libzmq" pub "$xsub" "$2"
  wait $sub
  kill $broker
  wait $broker 2>/dev/null || true
}

median() { sort -n "$1" | awk '{v[NR]=$1} END {print int(NR % 2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2)}'; }

report() { # NAME FILE BASE
  local m b
  m=$(median "$2") b=$(median "$3")
  awk -v n="$1" -v m="$m" -v b="$b" 'BEGIN {printf "%-44s %9d/s   %.2fx\n", n, m, m/b}'
}

for curve in '' curve; do
  n=$count
  if [ -n "$curve" ]; then keys; n=$((count / 5)); fi
  for _ in $(seq "$runs"); do
    for b in libzmq ours; do through $b "$n" >>"$dir/$curve-through-$b"; done
    for s in libzmq ours; do
      for r in libzmq ours; do push_pull $s $r "$n" >>"$dir/$curve-push-$s-$r"; done
    done
  done
  echo "${curve:-null}: median of $runs runs of $n messages"
  report "libzmq > libzmq's proxy > libzmq" "$dir/$curve-through-libzmq" "$dir/$curve-through-libzmq"
  report "libzmq > picket broker > libzmq" "$dir/$curve-through-ours" "$dir/$curve-through-libzmq"
  for s in libzmq ours; do
    for r in libzmq ours; do report "PUSH $s > PULL $r" "$dir/$curve-push-$s-$r" "$dir/$curve-push-libzmq-libzmq"; done
  done
done
