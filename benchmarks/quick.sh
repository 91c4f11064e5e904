#!/bin/bash
# The quick figure: 4k random reads at depth 32 over a unix socket from a memory export, farsight and nbdkit in turn.
# Prints each run's IOPS, the medians and their ratio; exit status 1 when the ratio is below the promised 1.5.
#   benchmarks/quick.sh [ROUNDS=5] [SECONDS=5]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
rounds=${1:-5} seconds=${2:-5} promised=1.5
farsight=target/farsight/bin/farsight
[ -x $farsight ] || mvn -B -q -ntp package -DskipTests
for tool in fio nbdkit jq; do
    command -v $tool >/dev/null || { echo "quick.sh: $tool is missing: apt-get install $tool" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/farsight-bench.XXXXXX")
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
$farsight server --export disk=memory:512MiB --listen unix:"$work/farsight.sock" >"$work/farsight.log" 2>&1 & pids+=($!)
nbdkit -f -U "$work/nbdkit.sock" memory 512M & pids+=($!)
for name in farsight nbdkit; do
    for _ in $(seq 200); do [ -S "$work/$name.sock" ] && break; sleep 0.05; done
done

run() { # NAME SECONDS
    local uri="nbd+unix:///disk?socket=$work/$1.sock"
    fio --name=t --ioengine=nbd --uri="$uri" --rw=randread --bs=4k --iodepth=32 --size=512m --time_based \
        --runtime="$2" --output-format=json --output="$work/out.json" >/dev/null 2>&1
    sed -n '/^{/,$p' "$work/out.json" | jq '.jobs[0].read.iops | floor'
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2)}'; }

fill() { fio --name=f --ioengine=nbd --uri="nbd+unix:///disk?socket=$work/$1.sock" --rw=write --bs=1m --size=512m >/dev/null 2>&1; }
fill farsight; fill nbdkit
run farsight 3 >/dev/null; run nbdkit 3 >/dev/null # warm
echo "4k randread, depth 32, unix socket, memory export, $(nproc) processors: IOPS"
for ((i = 1; i <= rounds; i++)); do
    a=$(run farsight "$seconds"); b=$(run nbdkit "$seconds")
    echo "$a" >>"$work/a"; echo "$b" >>"$work/b"
    echo "  round $i: farsight $a  nbdkit $b"
done
a=$(median <"$work/a") b=$(median <"$work/b")
awk -v a="$a" -v b="$b" -v p=$promised 'BEGIN {
    printf "median: farsight %d  nbdkit %d  ratio %.2f (promised: %.1f)\n", a, b, a / b, p; exit !(a / b >= p) }'
