#!/bin/bash
# `farsight client` beside nbd-client -persist and rbd-nbd, in the same guest kernel (src/test/tools/nbd-kernel, User
# Mode Linux, one processor) on the same image of one Ceph cluster, which the first two reach through a farsight server
# and rbd-nbd by itself: what each survives under fio with verification, each in a new guest, and their throughput in
# turn in one guest. Prints Markdown.
#   benchmarks/client.sh [--rounds 5] [--seconds 2] [--faults REGEX] [--contenders REGEX] [--keep-logs DIRECTORY]
# --rounds 0 leaves the throughput out, --faults - the faults. Exit status 1 when farsight does not survive something,
# 2 when something could not run that has to.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
rounds=5 seconds=2 faults=. contenders=. logs=
while [ $# -gt 1 ]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --faults) faults=$2 ;;
        --contenders) contenders=$2 ;;
        --keep-logs) logs=$2 && mkdir -p "$logs" && logs=$(realpath "$logs") ;;
        *) break ;;
    esac
    shift 2
done
[ $# = 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ -x target/farsight/bin/farsight ] || mvn -B -q -ntp package -DskipTests
farsight=$PWD/target/farsight/bin/farsight
for tool in fio jq nbd-client rbd ceph-mon; do
    command -v $tool >/dev/null || { echo "client.sh: $tool is missing: bash src/test/tools/install-packages" >&2; exit 2; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/farsight-client.XXXXXX")
trap 'rm -rf "$work"' EXIT

guest() { # LIMIT NAME ARGUMENTS...: in a new guest beside new storage
    local limit=$1 name=$2 directory=$work/$2 status=0
    shift 2
    mkdir "$directory"
    src/test/tools/nbd-kernel -t "$limit" -n 8 -d "$directory" \
        -s "exec benchmarks/client-storage.sh '$farsight' '$directory'" \
        -- benchmarks/client-guest.sh "$farsight" "$directory" "$@" >"$work/$name.log" 2>&1 || status=$?
    [ -z "$logs" ] || cp "$work/$name.log" "$logs/"
    rm -rf "$directory/ceph"
    return $status
}

declare -A heading=(
    [farsight]='`farsight client`' [nbd-client]='`nbd-client -persist`'
    [nbd-client-ioctl]='`nbd-client -persist -nonetlink`' [rbd-nbd]='`rbd-nbd map --try-netlink`'
)
declare -A title=(
    [server]='the server: SIGKILL, back after 2 s' [client]='the client'"'"'s process: SIGKILL, started again after 2 s'
    [silence]='the network: not one packet for 20 s' [other]='another size in place of the export for 10 s, then the right one'
    [osd]='the object store: SIGKILL, back after 2 s' [grow]='the image grows: the device does, too'
)
columns=()
for contender in farsight nbd-client nbd-client-ioctl rbd-nbd; do
    if [[ $contender =~ $contenders ]]; then columns+=("$contender"); fi
done
failed=0
if [ "$faults" != - ]; then
    line='|' rule='|---|'
    for contender in "${columns[@]}"; do line="$line | ${heading[$contender]}" rule="$rule---|"; done
    printf '%s |\n%s\n' "$line" "$rule"
    for fault in server client silence other osd grow; do
        [[ $fault =~ $faults ]] || continue
        line="| ${title[$fault]}"
        for contender in "${columns[@]}"; do
            case $contender-$fault in
                rbd-nbd-server | rbd-nbd-other) verdict="has no server" ;;
                *)
                    verdict=
                    if [ "$contender" = rbd-nbd ] && ! command -v rbd-nbd >/dev/null; then
                        verdict="not run: apt-get install rbd-nbd"
                    elif ! guest 300 "$contender-$fault" survives "$contender" "$fault"; then
                        tail -n 60 "$work/$contender-$fault.log" >&2
                    fi
                    [ -n "$verdict" ] || verdict=$(cat "$work/$contender-$fault/verdict" 2>/dev/null) || verdict="not run: the guest failed"
                    ;;
            esac
            case $contender:$verdict in
                farsight:yes*) ;;
                farsight:*) failed=1 && tail -n 60 "$work/$contender-$fault.log" >&2 ;;
            esac
            line="$line | $verdict"
        done
        echo "$line |"
    done
fi
[ "$rounds" -gt 0 ] || exit $failed

if ! guest $((120 + rounds * 5 * (6 * (seconds + 5) + 30))) figures figures "$rounds" "$seconds"; then
    tail -n 60 "$work/figures.log" >&2
    exit 2
fi
median() { # STORAGE CONTENDER JOB
    awk -v s="$1" -v c="$2" -v j="$3" '$1 == s && $2 == c && $3 == j {print $4}' "$work/figures/figures" | sort -n |
        awk '{v[NR] = $1} END {if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'
}
ratio() { # STORAGE CONTENDER JOB: the median of what farsight did in each round to what the contender did next
    awk -v s="$1" -v c="$2" -v j="$3" '$1 == s && $3 == j && $2 == "farsight" {f = $4}
        $1 == s && $3 == j && $2 == c && $4 > 0 {print f / $4}' "$work/figures/figures" | sort -n |
        awk '{v[NR] = $1} END {if (NR) printf "%.2f (%.2f to %.2f)", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR]
            else print "not run"}'
}
round() { printf '%.0f' "${1:-0}"; }
printf '\n| IOPS | farsight, rbd | nbd-client, rbd | rbd-nbd | to nbd-client | to rbd-nbd | farsight, memory | nbd-client, memory | to nbd-client |\n'
echo "|---|---|---|---|---|---|---|---|---|"
for job in 4k-randread-1 4k-randread-32 4k-randwrite-1 4k-randwrite-32 1M-read-8 1M-write-8; do
    f=$(median rbd farsight $job) n=$(median rbd nbd-client $job) r=$(median rbd rbd-nbd $job)
    mf=$(median memory farsight $job) mn=$(median memory nbd-client $job)
    kind=${job#*-}
    echo "| ${job%%-*} ${kind%-*}, depth ${job##*-} | $(round "$f") | $(round "$n") | $(round "$r")" \
        "| $(ratio rbd nbd-client $job) | $(ratio rbd rbd-nbd $job)" \
        "| $(round "$mf") | $(round "$mn") | $(ratio memory nbd-client $job) |"
done
exit $failed
