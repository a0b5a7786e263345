#!/bin/bash
#
# A cluster by hand: what picket up does, in 40 lines of shell, with picket
# layout, picket hub and picket node. It restarts nothing and counts nothing:
# read it to see how the parts fit, run it to try, and use picket up, systemd or
# your own supervisor for more.
#
# Ctrl-C or SIGTERM stops it in order. With PICKET_READ=trace.pcap it reads a
# capture and ends by itself.
set -eu

PICKET=${PICKET:-picket}
INTERFACE=${PICKET_INTERFACE:-lo}
READ=${PICKET_READ:-}
WORKERS=${PICKET_WORKERS:-4}
PROXIES=${PICKET_PROXIES:-2}
LOGGERS=${PICKET_LOGGERS:-1}
SPOOL_DIR=${PICKET_SPOOL_DIR:-$(pwd)/spool}
PORT=${PICKET_PORT:-4222}
# Each process works in a folder of its own, where a relative path means another file.
[ -z "$READ" ] || READ=$(realpath "$READ")
SPOOL_DIR=$(realpath -m "$SPOOL_DIR")

# Whoever wants to join the cluster must know this password.
PICKET_BUS_TOKEN=${PICKET_BUS_TOKEN:-$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')}
export PICKET_BUS_TOKEN

# spawn_process NAME COMMAND...
#
# Runs a picket command in a working folder of its own, which has the layout.
spawn_process() {
  local name=$1
  shift
  mkdir -p "$SPOOL_DIR/$name"
  [ "$name" = hub ] || cp "$SPOOL_DIR/cluster-layout.zeek" "$SPOOL_DIR/$name/"
  (
    cd "$SPOOL_DIR/$name"
    export CLUSTER_NODE=$name
    # A process group of its own: Ctrl-C is for this script, which stops in order.
    exec setsid "$PICKET" "$@" >stdout.log 2>stderr.log
  ) &
  pids[$name]=$!
}

# stop NAME...: ask these to drain and end, and wait until they have.
stop() {
  local name
  for name; do [ -z "${pids[$name]:-}" ] || kill -TERM "${pids[$name]}" 2>/dev/null || true; done
  for name; do [ -z "${pids[$name]:-}" ] || wait "${pids[$name]}" 2>/dev/null || true; done
}

declare -A pids=()
workers=$(for i in $(seq 1 "$WORKERS"); do echo "worker-$i"; done)
proxies=$(for i in $(seq 1 "$PROXIES"); do echo "proxy-$i"; done)
loggers=$(for i in $(seq 1 "$LOGGERS"); do echo "logger-$i"; done)

# shellcheck disable=SC2086 # names have no blanks
stop_all() {
  trap '' INT TERM
  stop $workers
  stop $proxies
  stop manager
  stop $loggers
  stop hub
}
trap 'stop_all; exit 0' INT TERM

mkdir -p "$SPOOL_DIR"
chmod 700 "$SPOOL_DIR"
"$PICKET" layout -L "$LOGGERS" -P "$PROXIES" -W "$WORKERS" -o "$SPOOL_DIR/cluster-layout.zeek"

# The hub first, then what the others need. Nodes wait for each other, so no
# more order than this is needed.
bus=nats://127.0.0.1:$PORT
spawn_process hub hub --listen "127.0.0.1:$PORT"
for name in $loggers manager $proxies; do spawn_process "$name" node "$name" --bus "$bus"; done
for i in $(seq 1 "$WORKERS"); do
  if [ -n "$READ" ]; then
    spawn_process "worker-$i" node "worker-$i" --bus "$bus" --no-checksums --read "$READ" --share "$i/$WORKERS"
  else
    spawn_process "worker-$i" node "worker-$i" --bus "$bus" --no-checksums -i "$INTERFACE"
  fi
done

# Workers that read a capture end by themselves; others when they are stopped.
failed=0
for name in $workers; do
  wait "${pids[$name]}" || {
    echo "$name ended with exit code $?; see $SPOOL_DIR/$name/stderr.log" >&2
    failed=1
  }
done
stop_all
exit $failed
