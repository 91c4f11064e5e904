#!/bin/bash
# other-export.sh FARSIGHT PORT DIRECTORY: in the guest of nbd-kernel, an export that grows and is followed; then a server
# that comes back with another size, and with other exports, which is refused until the right one is back. faulty-server
# obeys DIRECTORY, where disk.img is what it serves with nbdkit. A second nbdkit, on the next port, has memory to swap to.
farsight=$1 port=$2 directory=$3 device=nbd0
. "$(dirname "$0")/attach.sh"

# config NAME PORT KEYS...: prints the path of a configuration.
config() {
    local name=$1 port=$2
    shift 2
    { printf '[nbd]\n'; printf '%s\n' "$@"; printf '[server]\naddress = "10.0.2.2"\nport = %s\n' "$port"
        printf '[backend]\nexport = "disk"\n'; } >"/run/$name.toml"
    echo "/run/$name.toml"
}

bytes() { echo $(($(cat /sys/block/$device/size) * 512)); }
has() { [ "$(bytes)" = "$1" ]; }
said() { grep -qE "$1" "$client_log"; }

requests=0
replace() {
    requests=$((requests + 1))
    echo "$*" >"$directory/new" && mv "$directory/new" "$directory/replace-$requests"
    await 90 "another server" test -e "$directory/replace-$requests.done"
}
nbdkit_of() { replace nbdkit -f -i 10.0.2.2 -p "$port" file "$directory/$1"; }

# refused PATTERN: the client says so, and the device stays as it is.
refused() {
    await 90 "a line with '$1'" said "$1"
    has $((96 << 20)) || fail "the size is $(bytes)"
    [ -e /sys/block/$device/pid ] || fail "the device is gone"
    step "refused: $(grep -E "$1" "$client_log" | tail -n 1)"
}

await 90 "the server on port $port" listening "$port"
attach "$(config grows "$port" 'file = "/dev/nbd0"' 'connections = 2' 'resize_poll = "500ms"')"
has $((64 << 20)) || fail "the size is $(bytes)"
mkfs.ext4 -q /dev/$device
mount /dev/$device /mnt
truncate -s 96M "$directory/disk.img"
await 90 "the new size" has $((96 << 20))
resize2fs /dev/$device >/dev/null 2>&1 || fail "the file system cannot grow"
step "grown: $(grep grown "$client_log")"

truncate -s 32M "$directory/smaller.img"
nbdkit_of smaller.img
dd if=/dev/urandom of=/mnt/waits bs=1M count=4 oflag=direct status=none &
writer=$!
refused 'the export has 33554432 bytes and not 100663296; /dev/nbd0 stays as it was'
replace "$farsight" server --listen "10.0.2.2:$port" --export "other=file:$directory/disk.img"
refused "refused export 'disk'"
kill -0 $writer || fail "the write did not wait"
nbdkit_of disk.img
wait $writer || fail "the write failed"
step "the right export is back"

kill -KILL "$client"
wait "$client" 2>/dev/null || true
"$farsight" client "$(config fixed "$port" 'file = "/dev/nbd0"' 'resize_poll = 0' 'blocksize = 4096')" \
    >"$client_log" 2>&1 &
client=$!
await 90 "taking over" said 'took over'
said '/dev/nbd0: is taken over as it is; blocksize will be' || fail "nothing is said of what stays: $(cat "$client_log")"
truncate -s 128M "$directory/larger.img"
nbdkit_of larger.img
sync -f /mnt & # so that there is something to wait for
syncing=$!
refused 'the export has 134217728 bytes and not 100663296'
nbdkit_of disk.img
wait $syncing
umount /mnt
fsck.ext4 -fn /dev/$device >/dev/null 2>&1 || fail "the file system is not clean"
detach TERM

device=nbd1
attach "$(config swap $((port + 1)) 'file = "/dev/nbd1"' 'swap = true')"
[ "$(cat "/proc/$client/oom_score_adj")" = -1000 ] || fail "the client may be killed when memory is short"
locked=$(awk '/VmLck/ { print $2 }' "/proc/$client/status")
[ "$locked" -gt 50000 ] || fail "only $locked kB of the client are locked in memory"
# The network needs memory to swap through, as client.md says.
echo 65536 >/proc/sys/vm/min_free_kbytes
mkswap /dev/$device >/dev/null
swapon /dev/$device
# A tmpfs is swapped out as processes are: all free memory and a tenth of a gigabyte more.
long=$(($(awk '/MemAvailable/ { print $2 }' /proc/meminfo) * 1024 + (100 << 20)))
mount -t tmpfs -o size=2G tmpfs /mnt
written=$(head -c $long /dev/urandom | tee /mnt/large | sha256sum)
[ "$(sha256sum </mnt/large)" = "$written" ] || fail "what was swapped out came back as something else"
umount /mnt
out=$(awk '/pswpout/ { print $2 }' /proc/vmstat)
[ "$out" -gt 1000 ] || fail "only $out pages were swapped out"
swapoff /dev/$device
step "swapped $out pages out, $locked kB of the client locked"
detach TERM
if dmesg | grep -E 'I/O error|EXT4-fs error|Buffer I/O'; then fail "the kernel saw errors"; fi
