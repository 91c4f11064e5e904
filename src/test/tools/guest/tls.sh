#!/bin/bash
# tls.sh FARSIGHT CONFIGS PORT DIRECTORY: in the guest of nbd-kernel, devices over TLS: file systems under load with
# verification on two, while the clients, which encrypt, are killed and started again, and so is the server of the first,
# by faulty-server in DIRECTORY. CONFIGS has ours.toml (/dev/nbd0, our server) and peer.toml (/dev/nbd1, another server),
# ioctl.toml (/dev/nbd2), stranger.toml, which trusts an authority that nobody is known to, and clear.toml without TLS.
farsight=$1 configs=$2 port=$3 directory=$4 device=nbd0
. "$(dirname "$0")/attach.sh"
. "$(dirname "$0")/loads.sh"
names=(ours peer)
rate=4m size=16M runtime=4

# refused STATUS PATTERN COMMAND...
refused() {
    local expected=$1 pattern=$2 status=0 printed
    shift 2
    printed=$(timeout 90 "$@" 2>&1) || status=$?
    step "status $status: $printed"
    [ "$status" = "$expected" ] && grep -qE "$pattern" <<<"$printed" || fail "expected status $expected and '$pattern'"
}

# again NAME DEVICE: the client is killed, and its device taken over by another.
again() {
    kill -KILL "${clients[$1]}"
    wait "${clients[$1]}" || true
    [ -e "/sys/block/$2/pid" ] || fail "the device is gone with its client"
    start_client "$1" "$2"
    grep -q "took over /dev/$2" "$(log_of "$1")" || fail "not taken over: $(cat "$(log_of "$1")")"
}

await 90 "the server on port $port" listening "$port"
await 90 "the server on port $((port + 1))" listening $((port + 1))
refused 1 'TLS: ' "$farsight" client "$configs/stranger.toml"
refused 1 'demands TLS|TLS_REQD' "$farsight" client "$configs/clear.toml"
refused 2 'no-watch does not go with TLS' "$farsight" attach --no-watch "nbds://10.0.2.2:$port/disk"
free || fail "/dev/nbd0 is not free after refusals"

mkdir /mnt/ours /mnt/peer
start_client ours nbd0
start_client peer nbd1
grep -qx 'alive=4' /run/farsight/nbd0 || fail "nbd0 has not four connections"
grep -q '^uri=nbds' /run/farsight/nbd0 || fail "nbd0 is not over TLS: $(cat /run/farsight/nbd0)"
mkfs.ext4 -q /dev/nbd0
mkfs.ext4 -q /dev/nbd1
mount /dev/nbd0 /mnt/ours
mount /dev/nbd1 /mnt/peer
step "mounted"
start_loads
sleep 2
again ours nbd0
again peer nbd1
step "clients killed"
touch "$directory/kill-1"
await 60 "kill-1" test -e "$directory/kill-1.done"
sleep 2
touch "$directory/kill-2"
again ours nbd0
await 60 "kill-2" test -e "$directory/kill-2.done"
step "server killed twice, once with the client"
sleep 2
kill -0 "${loads[ours]}" "${loads[peer]}" || fail "a load has ended: $(tail -n 40 /run/fio-*.log)"
loaded
umount /mnt/ours /mnt/peer
fsck.ext4 -fn /dev/nbd0 >/dev/null || fail "the file system of ours is not clean"
fsck.ext4 -fn /dev/nbd1 >/dev/null || fail "the file system of peer is not clean"
for name in "${names[@]}"; do
    sed "s/^/$name: /" "$(log_of $name)"
    kill -TERM "${clients[$name]}"
    wait "${clients[$name]}" || fail "the client of $name ended with status $?"
done
free || fail "/dev/nbd0 is not free"
device=nbd1
free || fail "/dev/nbd1 is not free"

device=nbd2
attach "$configs/ioctl.toml"
head -c 4M /dev/urandom >/run/random
dd if=/run/random of=/dev/nbd2 bs=1M oflag=direct status=none
dd if=/dev/nbd2 bs=1M count=4 iflag=direct status=none | cmp - /run/random || fail "read by ioctl is not what was written"
detach TERM
[ -z "$(ls /run/farsight | grep -v '\.lock$')" ] || fail "state is left: $(ls /run/farsight)"
if dmesg | grep -E 'I/O error|EXT4-fs error|Buffer I/O'; then fail "the kernel saw errors"; fi
step "detached"
