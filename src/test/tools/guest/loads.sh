# Functions for scripts in the guest that keep several file systems under load, each on a device with a client of its own.
# A script sources attach.sh and this file, and sets `names`; $configs/NAME.toml attaches what is mounted on /mnt/NAME.
# It may set `rate`, `size` and `runtime` (of one of the runs of fio that follow each other).

declare -A clients loads
rate=12m size=48M runtime=15
stop=/run/stop-loads

log_of() { echo "/run/client-$1.log"; }

# start_client NAME DEVICE: returns when the device is attached, or has been taken over.
start_client() {
    : >"$(log_of "$1")"
    "$farsight" client "$configs/$1.toml" >>"$(log_of "$1")" 2>&1 &
    clients[$1]=$!
    await 60 "the client of $2" grep -qE 'attached|took over' "$(log_of "$1")"
}

# load NAME: until there is the file $stop, however long the faults take.
load() {
    local status=0
    while [ ! -e $stop ] && [ $status = 0 ]; do
        fio --name="$1" --filename="/mnt/$1/data" --size=$size --rw=randwrite --bsrange=4k-128k --direct=1 \
            --ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 --verify_backlog=200 --rate=$rate \
            --time_based --runtime=$runtime --output="/run/fio-$1.log" || status=$?
    done
    return $status
}

start_loads() {
    local name
    rm -f $stop
    for name in "${names[@]}"; do
        load $name &
        loads[$name]=$!
    done
}

# loaded: waits for both loads, which must have seen no error.
loaded() {
    local name status
    touch $stop
    for name in "${names[@]}"; do
        status=0
        wait "${loads[$name]}" || status=$?
        grep -E 'write: IOPS|err=' "/run/fio-$name.log" | sed "s/^/$name: /"
        [ "$status" = 0 ] || { cat "/run/fio-$name.log" "$(log_of "$name")"; dmesg | tail -n 60; fail "fio on $name: status $status"; }
    done
}
