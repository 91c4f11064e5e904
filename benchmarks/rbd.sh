#!/bin/bash
# One Ceph image three ways, in turn on one cluster of its own: fio's rbd engine directly, fio's nbd engine through
# farsight, and through qemu-nbd. Prints medians of IOPS and the ratios as a Markdown table.
#   benchmarks/rbd.sh [ROUNDS=3] [SECONDS=5]
# With settings of Ceph in OPTIONS, such as OPTIONS='rbd_non_blocking_aio = "false"', or keys of [rbd] in KEYS, such as
# KEYS='batch = false', a second farsight with those takes part, and a second table compares the two. With BUSY=2 there are
# two other processes that use all of the processors that they get.
# What the socket leaves of the direct figure is the time that a request takes directly and the time that fio's nbd engine
# takes for one through ceiling.c, a server without storage, added up. An estimate and no bound: what overlaps of the two
# counts twice.
# None of them lets librbd cache, so that all do the same work; also printed is what each server spends of the processor
# for a request, in microseconds of user and system time.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
rounds=${1:-3} seconds=${2:-5}
farsight=target/farsight/bin/farsight
[ -x $farsight ] || mvn -B -q -ntp package -DskipTests
for tool in fio qemu-nbd jq rbd nbdcopy cc; do
    command -v $tool >/dev/null || { echo "rbd.sh: $tool is missing: bash src/test/tools/install-packages" >&2; exit 1; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/farsight-bench.XXXXXX") pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; src/test/tools/mini-ceph stop "$work/ceph"; rm -rf "$work"' EXIT
src/test/tools/mini-ceph start "$work/ceph"
export CEPH_CONF=$work/ceph/farsight.conf
printf '[client]\nrbd_cache = false\n' >>"$CEPH_CONF"
rbd --id farsight create --size 1G rbd/img
printf '[server]\nunix = "%s"\n[rbd]\nceph_conf = "%s"\nceph_user = "farsight"\n' "$work/farsight.sock" "$CEPH_CONF" >"$work/server.toml"
$farsight server "$work/server.toml" >"$work/farsight.log" 2>&1 & pids+=($!) farsight_pid=$!
for _ in $(seq 200); do [ -S "$work/farsight.sock" ] && break; sleep 0.05; done
contenders=(direct farsight qemu) varied_pid=
if [ -n "${OPTIONS:-}${KEYS:-}" ]; then
    sed "s|farsight.sock|varied.sock|" "$work/server.toml" >"$work/varied.toml"
    [ -z "${OPTIONS:-}" ] || printf 'options = { %s }\n' "$OPTIONS" >>"$work/varied.toml"
    [ -z "${KEYS:-}" ] || printf '%s\n' "$KEYS" >>"$work/varied.toml"
    $farsight server "$work/varied.toml" >"$work/varied.log" 2>&1 & pids+=($!) varied_pid=$!
    for _ in $(seq 200); do [ -S "$work/varied.sock" ] && break; sleep 0.05; done
    [ -S "$work/varied.sock" ] || { cat "$work/varied.log" >&2; exit 1; }
    contenders+=(varied)
fi
head -c 1G /dev/urandom >"$work/data"
nbdcopy --flush "$work/data" "nbd+unix:///rbd:rbd/img?socket=$work/farsight.sock"
rm "$work/data"
qemu-nbd -f raw -x '' -k "$work/qemu.sock" -e 8 -t --cache=none "rbd:rbd/img:conf=$CEPH_CONF:id=farsight" & pids+=($!) qemu_pid=$!
for _ in $(seq 200); do [ -S "$work/qemu.sock" ] && break; sleep 0.05; done

cc -O2 -pthread -o "$work/ceiling" benchmarks/ceiling.c
"$work/ceiling" "unix:$work/ceiling.sock" $((1 << 30)) & pids+=($!)
for _ in $(seq 200); do [ -S "$work/ceiling.sock" ] && break; sleep 0.05; done
contenders+=(ceiling)

ticks() { # PID: user and system time of a process, in ticks; its name has no blank in it
    [ -z "$1" ] && echo 0 || awk '{print $14 + $15}' "/proc/$1/stat"
}
run() { # CONTENDER OPTIONS...: prints IOPS, and appends microseconds of the server per request to CONTENDER.cpu
    local engine contender=$1 pid= before
    case $1 in
        direct) engine="--ioengine=rbd --clientname=farsight --pool=rbd --rbdname=img" ;;
        farsight) engine="--ioengine=nbd --uri=nbd+unix:///rbd:rbd/img?socket=$work/farsight.sock" pid=$farsight_pid ;;
        varied) engine="--ioengine=nbd --uri=nbd+unix:///rbd:rbd/img?socket=$work/varied.sock" pid=$varied_pid ;;
        ceiling) engine="--ioengine=nbd --uri=nbd+unix:///?socket=$work/ceiling.sock" ;;
        qemu) engine="--ioengine=nbd --uri=nbd+unix:///?socket=$work/qemu.sock" pid=$qemu_pid ;;
    esac
    shift
    before=$(ticks "$pid")
    # shellcheck disable=SC2086 # engines are several words
    fio --name=t $engine "$@" --size=1G --time_based --runtime="$seconds" --output-format=json \
        --output="$work/out.json" >/dev/null 2>&1
    sed -i -n '/^{/,$p' "$work/out.json"
    jq ".jobs[0] | ($(ticks "$pid") - $before) * 1000000 / $(getconf CLK_TCK)
        / ([.read.total_ios + .write.total_ios, 1] | max) | floor" "$work/out.json" >>"$work/$contender.cpu"
    jq '.jobs[0] | (.read.iops + .write.iops) | floor' "$work/out.json"
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2)}'; }

run farsight --rw=randread --bs=4k --iodepth=32 >/dev/null # warm
for ((i = 0; i < ${BUSY:-0}; i++)); do
    while :; do :; done & pids+=($!)
done
echo "| IOPS | fio rbd, direct | farsight | qemu-nbd | to direct | the socket leaves | to qemu-nbd | us farsight | us qemu-nbd |"
echo "|---|---|---|---|---|---|---|---|---|"
while read -r title options; do
    rm -f "$work"/*.figures "$work"/*.cpu
    for ((i = 0; i < rounds; i++)); do
        first=$((i % ${#contenders[@]}))
        for contender in "${contenders[@]:first}" "${contenders[@]:0:first}"; do
            # shellcheck disable=SC2086
            run $contender $options >>"$work/$contender.figures"
        done
    done
    d=$(median <"$work/direct.figures") f=$(median <"$work/farsight.figures") q=$(median <"$work/qemu.figures")
    c=$(median <"$work/ceiling.figures")
    cf=$(median <"$work/farsight.cpu") cq=$(median <"$work/qemu.cpu")
    awk -v cf="$cf" -v cq="$cq" -v t="${title//_/ }" -v d="$d" -v f="$f" -v q="$q" -v c="$c" \
        'BEGIN {printf "| %s | %d | %d | %d | %.2f | %.2f | %.2f | %d | %d |\n", t, d, f, q, f / d, c / (c + d), f / q, cf, cq}'
    [ -z "$varied_pid" ] || awk -v t="${title//_/ }" -v f="$f" -v cf="$cf" \
        -v v="$(median <"$work/varied.figures")" -v cv="$(median <"$work/varied.cpu")" \
        'BEGIN {printf "| %s | %d | %d | %.2f | %d | %d |\n", t, f, v, v / f, cf, cv}' >>"$work/varied.md"
done <<'T'
4k_randread,_depth_1 --rw=randread --bs=4k --iodepth=1
4k_randread,_depth_32 --rw=randread --bs=4k --iodepth=32
4k_randwrite,_depth_1 --rw=randwrite --bs=4k --iodepth=1
4k_randwrite,_depth_32 --rw=randwrite --bs=4k --iodepth=32
1M_read,_depth_8 --rw=read --bs=1M --iodepth=8
1M_write,_depth_8 --rw=write --bs=1M --iodepth=8
T
if [ -n "$varied_pid" ]; then
    printf '\n| IOPS | farsight | with %s | ratio | us | us |\n|---|---|---|---|---|---|\n' "${OPTIONS:-}${KEYS:-}"
    cat "$work/varied.md"
fi
