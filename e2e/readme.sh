#!/usr/bin/env bash
# Runs the README's first command as it stands there, and checks that it ends
# by itself, wrote the logs, and lost nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
cmd=$(sed -n 's/^\(go run .* up --read .*\)$/\1/p' README.md | head -1)
[ -n "$cmd" ] || { echo 'README.md: no command that begins with go run and has up --read'; exit 1; }
spool=$(mktemp -d)
trap 'rm -rf "$spool"' EXIT
echo "+ $cmd"
rc=0
out=$(timeout 900 $cmd --spool "$spool" -o "$spool/logs" 2>&1) || rc=$?
[ "$rc" = 0 ] || { echo "$out"; echo "exit status $rc"; exit 1; }
echo "$out" | tail -25
for log in conn dns cluster; do
  f=$(find "$spool" -name "$log.log" | head -1)
  [ -n "$f" ] || { echo "no $log.log below $spool"; exit 1; }
  rows=$(grep -vc '^#' "$f")
  [ "$rows" -gt 0 ] || { echo "$f holds no rows"; exit 1; }
done
# The exit code says already that nothing was dropped or lost (4 otherwise).
