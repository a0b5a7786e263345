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
PICKET="$work/picket" PICKET_READ="$root/docs/demo.pcap" PICKET_PORT=$port PICKET_WORKERS=3 timeout 120 "$root/docs/examples/supervisor.sh"
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
