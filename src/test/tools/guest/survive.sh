#!/bin/bash
# survive.sh FARSIGHT CONFIGS PORT DIRECTORY: in the guest of nbd-kernel, file systems on two devices under load with
# verification while faulty-server breaks the server, and while the client of the second device is killed and started
# again; then while no packet gets through. CONFIGS has one.toml (/dev/nbd0, one connection) and four.toml (/dev/nbd1,
# four connections). DIRECTORY is faulty-server's.
farsight=$1 configs=$2 port=$3 directory=$4 device=nbd0
. "$(dirname "$0")/attach.sh"

. "$(dirname "$0")/loads.sh"
names=(one four)

ask() { touch "$directory/$1"; }
await_done() { await 60 "$1" test -e "$directory/$1.done"; }

await 90 "the server on port $port" listening "$port"
mkdir /mnt/one /mnt/four
start_client one nbd0
start_client four nbd1
grep -qx 'alive=4' /run/farsight/nbd1 || fail "nbd1 has not four connections"
mkfs.ext4 -q /dev/nbd0
mkfs.ext4 -q /dev/nbd1
mount /dev/nbd0 /mnt/one
mount /dev/nbd1 /mnt/four
step "mounted"

start_loads
for round in ${ROUNDS-1 2 3 4 5 6}; do
    sleep 5
    kill -0 "${loads[one]}" "${loads[four]}" || fail "a load has ended: $(tail -n 40 /run/fio-*.log)"
    ask kill-$round
    if [ $((round % 2)) = 0 ]; then
        kill -KILL "${clients[four]}"
        wait "${clients[four]}" || true
        [ -e /sys/block/nbd1/pid ] || fail "the device is gone with its client"
        start_client four nbd1
        grep -q 'took over /dev/nbd1' "$(log_of four)" || fail "not taken over: $(cat "$(log_of four)")"
    fi
    await_done kill-$round
    step "server killed $round times"
done
loaded
step "six deaths of the server survived"

start_loads
sleep 3
ip neigh replace 10.0.2.2 lladdr 02:00:00:00:00:99 nud permanent dev vec0
ask drop-1
await_done drop-1
ip neigh del 10.0.2.2 dev vec0
step "the network is back"
loaded
step "twenty seconds of silence survived"

umount /mnt/one /mnt/four
fsck.ext4 -fn /dev/nbd0 || fail "the file system of one is not clean"
fsck.ext4 -fn /dev/nbd1 || fail "the file system of four is not clean"
if dmesg | grep -E 'I/O error|EXT4-fs error|Buffer I/O'; then fail "the kernel saw errors"; fi
for name in one four; do
    sed "s/^/$name: /" "$(log_of $name)"
    kill -TERM "${clients[$name]}"
    wait "${clients[$name]}" || fail "the client of $name ended with status $?"
done
[ ! -e /sys/block/nbd0/pid ] && [ ! -e /sys/block/nbd1/pid ] || fail "devices are left attached"
[ -z "$(ls /run/farsight | grep -v '\.lock$')" ] || fail "state is left: $(ls /run/farsight)"
step "detached"
