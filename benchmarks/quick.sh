#!/bin/bash
# The quick figure: 4k random reads at depth 32 over a unix socket from a memory export, farsight and nbdkit in turn, by two
# clients: fio, which is the bound itself, and hammer.c, which costs little. Prints each run's IOPS, the medians and their
# ratios; exit status 1 when hammer's ratio is below the promised 1.7.
#   benchmarks/quick.sh [ROUNDS=5] [SECONDS=5]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
rounds=${1:-5} seconds=${2:-5} promised=1.7
farsight=target/farsight/bin/farsight
[ -x $farsight ] || mvn -B -q -ntp package -DskipTests
for tool in fio nbdkit jq cc; do
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

cc -O2 -pthread -o "$work/hammer" benchmarks/hammer.c

fio_run() { # NAME SECONDS
    local uri="nbd+unix:///disk?socket=$work/$1.sock"
    fio --name=t --ioengine=nbd --uri="$uri" --rw=randread --bs=4k --iodepth=32 --size=512m --time_based \
        --runtime="$2" --output-format=json --output="$work/out.json" >/dev/null 2>&1
    sed -n '/^{/,$p' "$work/out.json" | jq '.jobs[0].read.iops | floor'
}
hammer_run() { # NAME SECONDS
    "$work/hammer" "unix:$work/$1.sock?disk" read 4096 32 1 "$2" | jq '.iops | floor'
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2)}'; }

fill() { fio --name=f --ioengine=nbd --uri="nbd+unix:///disk?socket=$work/$1.sock" --rw=write --bs=1m --size=512m >/dev/null 2>&1; }
fill farsight; fill nbdkit
echo "4k randread, depth 32, unix socket, memory export, $(nproc) processors: IOPS"
for client in fio hammer; do
    ${client}_run farsight 3 >/dev/null; ${client}_run nbdkit 3 >/dev/null # warm
    for ((i = 1; i <= rounds; i++)); do
        a=$(${client}_run farsight "$seconds"); b=$(${client}_run nbdkit "$seconds")
        echo "$a" >>"$work/$client.a"; echo "$b" >>"$work/$client.b"
        echo "  $client, round $i: farsight $a  nbdkit $b"
    done
    a=$(median <"$work/$client.a") b=$(median <"$work/$client.b")
    awk -v c=$client -v a="$a" -v b="$b" 'BEGIN {printf "%s, median: farsight %d  nbdkit %d  ratio %.2f\n", c, a, b, a / b}'
done
awk -v a="$a" -v b="$b" -v p=$promised 'BEGIN {exit !(a / b >= p)}' ||
    { echo "quick.sh: the ratio by hammer is below the promised $promised" >&2; exit 1; }
