#!/usr/bin/env bash
# Runs docs/examples/supervisor.sh, as docs/howto/run-without-the-supervisor.md
# shows it, on the demo capture, and compares its logs with those of picket read.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/picket" ./cmd/picket
cd "$work"
# A port that nobody listens on.
port=4222
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
cp "$root/docs/demo.pcap" "$work/trace.pcap"
PICKET="$work/picket" PICKET_READ=trace.pcap PICKET_PORT=$port PICKET_WORKERS=3 timeout 600 "$root/docs/examples/supervisor.sh"
"$work/picket" read --no-checksums -o "$work/read" "$root/docs/demo.pcap" >/dev/null 2>&1
# Rows without their UIDs, which are by chance here.
rows() { grep -v '^#' "$1" | cut -f1,3-6 | sort; }
for log in conn dns; do
  if ! diff <(rows "spool/logger-1/$log.log") <(rows "read/$log.log") >/dev/null; then
    echo "$log.log of the shell supervisor's cluster differs from picket read"
    tail -n 5 spool/*/stderr.log
    exit 1
  fi
  echo "$log.log: $(rows "read/$log.log" | wc -l) rows, the same as picket read"
done
left=$(pgrep -f "$work/picket" || true)
[ -z "$left" ] || { echo "still running: $left"; exit 1; }

# As root also live: workers on a cable between two network namespaces.
if [ "$(id -u)" != 0 ] || ! ip netns add "picket-a-$$" 2>/dev/null; then
  echo 'no right to make network namespaces: not tried on an interface'
  exit 0
fi
a=picket-a-$$ b=picket-b-$$
trap 'ip netns del "$a"; ip netns del "$b" 2>/dev/null || true; rm -rf "$work"' EXIT
ip netns add "$b"
for n in "$a" "$b"; do
  ip netns exec "$n" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
  ip -n "$n" link set lo up
done
ip link add va netns "$a" type veth peer name vb netns "$b"
ip -n "$a" link set va up
ip -n "$b" link set vb up
(cd "$root" && go build -o "$work/trafficgen" ./internal/trafficgen/cmd)
rm -rf spool
PICKET="$work/picket" PICKET_INTERFACE=vb PICKET_WORKERS=3 PICKET_LOGGERS=2 \
  ip netns exec "$b" "$root/docs/examples/supervisor.sh" &
script=$!
for _ in $(seq 1200); do # until the workers capture
  [ "$(ip netns exec "$b" cat /proc/net/packet | grep -c ' 0003 ')" = 3 ] && break
  sleep 0.1
done
sleep 0.5
ip netns exec "$a" ./trafficgen -i va -flows 3000 -rate 20000 >/dev/null
sleep 1
kill -TERM "$script"
wait "$script" || { echo "the script ended with exit code $?"; exit 1; }
rows=$(cat spool/logger-*/conn.log | grep -vc '^#')
[ "$rows" = 3000 ] || { echo "$rows conn rows of 3000 flows"; tail -n 5 spool/*/stderr.log; exit 1; }
left=$(pgrep -f "$work/picket" || true)
[ -z "$left" ] || { echo "still running: $left"; exit 1; }
echo "live: $rows conn rows of 3000 flows, by three workers and two loggers"
