#!/bin/bash
# farsight copy and nbdcopy in turn: a sparse image of 4 GiB, 512 MiB of it data unless told otherwise, to an NBD server
# and back, starting the program included, both with a flush at the end. The less data, the more the start counts. The
# server is nbdkit's file plugin; files lie in memory if there is room, so that the disk is not what is measured. Prints
# each run's seconds, the medians and their ratio (above 1: farsight is faster); exit status 1 when a ratio is below 1.
# Whoever is second in a round may take twice as long, when the first has freed more memory than the host of a virtual
# machine lets it keep, so that each has two medians, when first and when second, and what counts is what these two add up to.
#   benchmarks/copy.sh [ROUNDS=8 [MIB=512]]
# With SINGLE=1 the server allows one connection only.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
rounds=${1:-8}
data=${2:-512}
[ "$rounds" -ge 2 ] || { echo "copy.sh: $rounds rounds: must be 2 or more" >&2; exit 1; }
[ "$data" -ge 128 ] && [ "$data" -le 4096 ] && [ $((data % 128)) = 0 ] ||
    { echo "copy.sh: $data MiB of data: must be a multiple of 128 up to 4096" >&2; exit 1; }
farsight=$PWD/target/farsight/bin/farsight
[ -x "$farsight" ] || mvn -B -q -ntp package -DskipTests
for tool in nbdcopy nbdkit python3; do
    command -v $tool >/dev/null || { echo "copy.sh: $tool is missing: apt-get install libnbd-bin nbdkit python3" >&2; exit 1; }
done

place=${TMPDIR:-/tmp}
[ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -lt $((data * 1024 * 4)) ] 2>/dev/null || place=/dev/shm
work=$(mktemp -d "$place/farsight-copy.XXXXXX")
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
python3 - "$work/source.img" $((data / 128)) <<'EOF'
import os, sys
with open(sys.argv[1], "wb") as f:
    f.truncate(4 << 30)
    for at in range(0, 4 << 30, 32 << 20): # some data, then a hole
        f.seek(at)
        f.write(os.urandom(int(sys.argv[2]) << 20))
EOF
truncate -s 4G "$work/served.img"
single=()
[ -z "${SINGLE:-}" ] || single=(--filter=multi-conn multi-conn-mode=disable)
nbdkit -f -U "$work/sock" "${single[@]:0:1}" file "$work/served.img" "${single[@]:1}" & server=$!
for _ in $(seq 200); do [ -S "$work/sock" ] && break; sleep 0.05; done
uri="nbd+unix:///?socket=$work/sock"

timed() { # FILE COMMAND...: appends seconds
    local file=$1 start end
    shift
    start=${EPOCHREALTIME/./}
    "$@" >/dev/null
    end=${EPOCHREALTIME/./}
    awk -v us=$((end - start)) 'BEGIN { printf "%.3f\n", us / 1e6 }' | tee -a "$file"
}
median() { sort -n "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

"$farsight" copy "$work/source.img" "$uri" >/dev/null # warm
cmp "$work/source.img" "$work/served.img"
echo "4 GiB sparse, $data MiB of data, $(nproc) processors${SINGLE:+, one connection}: seconds"
for ((i = 1; i <= rounds; i++)); do
    # In turn, and each first in every other round.
    place=1
    for who in $([ $((i % 2)) = 1 ] && echo a b || echo b a); do
        if [ $who = a ]; then
            a=$(timed "$work/to.a.$place" "$farsight" copy "$work/source.img" "$uri")
        else
            b=$(timed "$work/to.b.$place" nbdcopy --flush "$work/source.img" "$uri")
        fi
        place=2
    done
    place=1
    for who in $([ $((i % 2)) = 1 ] && echo a b || echo b a); do
        rm -f "$work/back.img"
        if [ $who = a ]; then
            c=$(timed "$work/from.a.$place" "$farsight" copy "$uri" "$work/back.img")
            [ $i -gt 1 ] || cmp "$work/source.img" "$work/back.img"
        else
            d=$(timed "$work/from.b.$place" nbdcopy --flush "$uri" "$work/back.img")
        fi
        place=2
    done
    echo "  round $i: file to server: farsight $a  nbdcopy $b;  server to file: farsight $c  nbdcopy $d"
done
status=0
for way in to from; do
    awk -v way=$way -v a1="$(median "$work/$way.a.1")" -v a2="$(median "$work/$way.a.2")" \
        -v b1="$(median "$work/$way.b.1")" -v b2="$(median "$work/$way.b.2")" 'BEGIN {
        printf "medians when first, second: %s: farsight %.3f %.3f  nbdcopy %.3f %.3f  ratio %.2f\n",
            way == "to" ? "file to server" : "server to file", a1, a2, b1, b2, (b1 + b2) / (a1 + a2)
        exit !(b1 + b2 >= a1 + a2) }' || status=1
done
exit $status
