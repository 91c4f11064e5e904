#!/bin/bash
# rbd-trim.sh FARSIGHT CONFIG PORT DIRECTORY: in the guest of nbd-kernel, fills a file system on /dev/nbd0, empties it
# and trims it. Somebody beside the guest writes `rbd du` to DIRECTORY/used-N when DIRECTORY/ask-N appears.
farsight=$1 config=$2 port=$3 directory=$4 device=nbd0
. "$(dirname "$0")/attach.sh"

# used N: bytes that the image takes in the cluster.
used() {
    touch "$directory/ask-$1"
    await 90 "the answer to ask-$1" test -e "$directory/used-$1"
    cat "$directory/used-$1"
}

await 60 "the server on port $port" listening "$port"
attach "$config"
mkfs.ext4 -q /dev/$device
mount /dev/$device /mnt
head -c 100M /dev/urandom >/mnt/large
sync
full=$(used 1)
step "used with 100 MB in it: $full"
rm /mnt/large
sync
fstrim -v /mnt
umount /mnt
empty=$(used 2)
step "used after fstrim: $empty"
detach TERM

# The same once more, as [backend] read_only = true attaches it.
FARSIGHT_BACKEND_READ_ONLY=true attach "$config"
[ "$(blockdev --getro /dev/$device)" = 1 ] || fail "read_only in [backend] attaches a device that can be written"
head -c 512 /dev/zero 2>/dev/null >/dev/$device && fail "a device of read_only takes a write"
mount -o ro /dev/$device /mnt || fail "what is read-only cannot be mounted so"
umount /mnt
detach TERM
[ "$full" -ge 100000000 ] || fail "100 MB were written, but only $full bytes are used"
[ "$empty" -lt $((full / 2)) ] || fail "fstrim has freed nothing: $empty of $full bytes are used"
