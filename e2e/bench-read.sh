#!/usr/bin/env bash
# Measures picket read on a capture, beside sha256sum of the same file in the
# same run, since machines differ and are shared. Prints CPU seconds, ratios
# and rows per log beside real Zeek's.
#
#   e2e/bench-read.sh [CAPTURE]     default: made by ../shared/tools/bench-mix
set -euo pipefail
cd "$(dirname "$0")/.."
capture=${1:-/tmp/picket-bench.pcap}
[ -f "$capture" ] || ../shared/tools/bench-mix "$capture"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/picket" ./cmd/picket
cat "$capture" > /dev/null # into the page cache

python3 - "$work" "$capture" <<'PY'
import os, resource, statistics, subprocess, sys, time
work, capture = sys.argv[1:]
picket = os.path.join(work, 'picket')

def run(*cmd, cpu=None):
    before, t = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    full = list(cmd) if cpu is None else ['taskset', '-c', str(cpu)] + list(cmd)
    subprocess.run(full, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.time() - t, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall

def read(workers, out, cpu=None):
    return run(picket, 'read', '-W', str(workers), '--no-checksums', '--seed', 'bench', '-o', os.path.join(work, out), capture, cpu=cpu)

ratios, pairs = [], []
for i in range(5):
    ours, sha = read(1, 'one')[0], run('sha256sum', capture)[0]
    ratios.append(ours / sha)
    print('CPU: read -W 1 %.3f s, sha256sum %.3f s, ratio %.3f' % (ours, sha, ours / sha))
for i in range(5):
    one, two = read(1, 'one', cpu=0)[1], read(2, 'two')[1]
    pairs.append(two / one)
    print('wall: -W 1 on one core %.3f s, -W 2 %.3f s, ratio %.2f' % (one, two, two / one))
print('median ratio to sha256sum: %.3f (aim 0.65, floor 1.2; real Zeek: 6.4)' % statistics.median(ratios))
print('median -W 2 to -W 1: %.2f (aim 0.7, floor 0.8)' % statistics.median(pairs))

golden = os.path.join('..', 'shared', 'golden', 'bench-mix.tsv')
zeek = dict(l.split('\t') for l in open(golden).read().splitlines()[1:]) if os.path.exists(golden) else {}
for f in sorted(os.listdir(os.path.join(work, 'one'))):
    rows = sum(1 for l in open(os.path.join(work, 'one', f), errors='replace') if not l.startswith('#'))
    name = f[:-4]
    print('%-14s %7d rows%s' % (f, rows, ', Zeek %s (%+.1f %%)' % (zeek[name], 100 * (rows / int(zeek[name]) - 1)) if name in zeek else ''))
PY
