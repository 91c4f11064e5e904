#!/bin/bash
# For client.sh, in the guest of nbd-kernel, with client-storage.sh beside it:
#   client-guest.sh FARSIGHT DIRECTORY survives CONTENDER FAULT   writes what became of it to DIRECTORY/verdict
#   client-guest.sh FARSIGHT DIRECTORY figures ROUNDS SECONDS     writes lines of STORAGE CONTENDER JOB IOPS to DIRECTORY/figures
farsight=$1 directory=$2 device=nbd0 export=disk cookie= seconds=
. "$(dirname "$(readlink -f "$0")")/../src/test/tools/guest/attach.sh"
set +m # nothing here is ended with SIGINT, and what a killed process is called need not be shown

rbd_nbd() { timeout 60 rbd-nbd -c "$directory/ceph/farsight.conf" --id farsight "$@"; }

# start CONTENDER: attaches the export to the device, or lets the contender have it again.
start() {
    case $1 in
        farsight)
            printf '[nbd]\nfile = "/dev/%s"\nresize_poll = "2s"\n[server]\naddress = "10.0.2.2"\n[backend]\nexport = "%s"\n' \
                $device $export >/run/$device.toml
            "$farsight" client /run/$device.toml >>"$client_log" 2>&1 &
            client=$!
            ;;
        nbd-client) timeout 30 nbd-client 10.0.2.2 10809 /dev/$device -N $export -persist >>"$client_log" 2>&1 || true ;;
        nbd-client-ioctl)
            timeout 30 nbd-client 10.0.2.2 10809 /dev/$device -N $export -persist -nonetlink >>"$client_log" 2>&1 || true ;;
        rbd-nbd)
            if [ -z "$cookie" ]; then
                cookie=$(rbd_nbd map rbd/$export --device /dev/$device --try-netlink --show-cookie 2>>"$client_log") || true
                cookie=${cookie##* }
            else
                rbd_nbd attach rbd/$export --device /dev/$device --try-netlink --cookie "$cookie" >>"$client_log" 2>&1 || true
            fi
            ;;
    esac
}

# The processes of a contender; the guest has no others of these names.
processes() {
    case $1 in
        farsight) echo "$client" ;;
        *) pgrep -x "${1%-ioctl}" || true ;;
    esac
}

bytes() { echo $(($(cat /sys/block/$device/size) * 512)); }
ended_within() { # SECONDS PID
    local end=$((SECONDS + $1))
    while kill -0 "$2" 2>/dev/null; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.2; done
}
# In the background, as a read of a device that hangs cannot be killed.
works() {
    dd if=/dev/$device of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null &
    local reader=$!
    ended_within 20 $reader && wait $reader
}
ask() { touch "$directory/asked/$1" && await 90 "$1" test -e "$directory/asked/$1.done"; }
replace() { # NUMBER CONFIGURATION
    echo "$farsight server $directory/$2" >"$directory/asked/new" && mv "$directory/asked/new" "$directory/asked/replace-$1"
    await 60 "another server" test -e "$directory/asked/replace-$1.done"
}

verdict() { step "$contender: $fault: $*"; echo "$*" >"$directory/verdict"; exit 0; }

survives() {
    local size load end status=0 fate worst note=
    start "$contender"
    until attached; do
        [ "$SECONDS" -lt 90 ] || { cat "$client_log"; verdict "could not run: $(tail -n 1 "$client_log")"; }
        sleep 0.1
    done
    works || verdict "could not run: the device cannot be read"
    size=$(bytes)
    fio --name=load --filename=/dev/$device --size=48M --rw=randwrite --bsrange=4k-64k --direct=1 --ioengine=libaio \
        --iodepth=8 --verify=crc32c --verify_fatal=1 --verify_backlog=100 --rate=4m --time_based \
        --runtime="$1" --output-format=json --output=/run/load.json >/run/load.log 2>&1 &
    load=$!
    sleep 3
    case $fault in
        server) ask kill-1 ;;
        osd) ask osd ;;
        client)
            if [ -z "$(processes "$contender")" ]; then
                note=", has no process"
            else
                # shellcheck disable=SC2046 # several
                kill -KILL $(processes "$contender")
                sleep 2
                start "$contender"
                [ "$contender" != farsight ] || await 60 "the takeover" grep -q 'took over' "$client_log"
            fi
            ;;
        silence)
            ip neigh replace 10.0.2.2 lladdr 02:00:00:00:00:99 nud permanent dev vec0
            ask drop-1 # asked through files, which need no network
            ip neigh del 10.0.2.2 dev vec0
            ;;
        other)
            replace 1 smaller.toml
            sleep 10
            [ "$(bytes)" = "$size" ] || note=", the device had $(bytes) bytes instead of $size"
            replace 2 disk.toml
            ;;
        grow)
            ask grow
            end=$((SECONDS + 30))
            until [ "$(bytes)" = $((384 << 20)) ] || [ $SECONDS -ge $end ]; do sleep 0.5; done
            [ "$(bytes)" = $((384 << 20)) ] || note=", but the device's size stays as it was"
            ;;
    esac
    if ! ended_within 60 $load; then verdict "**no**: I/O hangs$note"; fi
    wait $load || status=$?
    if attached && works; then fate="works again"; else fate="is lost"; fi
    if [ $status = 0 ] && [ "$fate" = "works again" ]; then
        worst=$(sed -n '/^{/,$p' /run/load.json | jq '[.jobs[0] | .read, .write | .clat_ns.max] | max / 100000000 | round / 10')
        case $note in
            *but* | *instead*) verdict "**no**$note" ;;
            *) verdict "yes$note (longest request $worst s)" ;;
        esac
    fi
    cat /run/load.log "$client_log"
    dmesg | tail -n 20
    if grep -q 'verify: bad\|verify failed' /run/load.log; then verdict "**no**: wrong data$note"; fi
    verdict "**no**: I/O errors, the device $fate$note"
}

job() { # STORAGE CONTENDER JOB OPTIONS...
    local storage=$1 contender=$2 job=$3
    shift 3
    fio --name=t --filename=/dev/$device --direct=1 --ioengine=libaio --size=256M --time_based --runtime="$seconds" \
        "$@" --output-format=json --output=/run/out.json >/run/fio.log 2>&1 </dev/null || { cat /run/fio.log "$client_log"; fail "fio $job"; }
    echo "$storage $contender $job $(sed -n '/^{/,$p' /run/out.json | jq '.jobs[0] | (.read.iops + .write.iops) * 10 | round / 10')" \
        | tee -a "$directory/figures"
}

# All are attached at once and each job is one after another's on all of them, as what else the machine does changes faster
# than devices are attached. Nobody locks the image "figures", so that it need not change hands.
figures() {
    local round turn name options number=0
    local -A devices
    for turn in rbd:farsight rbd:nbd-client rbd:rbd-nbd memory:farsight memory:nbd-client; do
        export=figures
        [[ $turn != memory:* ]] || export=memory
        [ "${turn#*:}" != rbd-nbd ] || command -v rbd-nbd >/dev/null || continue
        device=nbd$number
        number=$((number + 1))
        start "${turn#*:}"
        await 90 "/dev/$device of $turn" attached
        devices[$turn]=$device
        # All of it exists before it is read.
        [[ $turn != *:farsight ]] || fio --name=fill --filename=/dev/$device --rw=write --bs=1M --direct=1 --size=256M >/run/fio.log
    done
    while read -r name options; do
        for ((round = 1; round <= $1; round++)); do
            for turn in rbd:farsight rbd:nbd-client rbd:rbd-nbd memory:farsight memory:nbd-client; do
                [ -n "${devices[$turn]-}" ] || continue
                device=${devices[$turn]}
                # shellcheck disable=SC2086 # options are several words
                job "${turn%:*}" "${turn#*:}" "$name" $options
            done
        done
    done <<'T'
4k-randread-1 --rw=randread --bs=4k --iodepth=1
4k-randread-32 --rw=randread --bs=4k --iodepth=32
4k-randwrite-1 --rw=randwrite --bs=4k --iodepth=1
4k-randwrite-32 --rw=randwrite --bs=4k --iodepth=32
1M-read-8 --rw=read --bs=1M --iodepth=8
1M-write-8 --rw=write --bs=1M --iodepth=8
T
}

await 120 "the storage" test -e "$directory/ready"
await 60 "the server" listening 10809
case $3 in
    survives)
        contender=$4 fault=$5
        case $fault in
            silence | other) survives 30 ;;
            *) survives 15 ;;
        esac
        ;;
    figures)
        seconds=$5
        figures "$4"
        ;;
esac
