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
[ "$full" -ge 100000000 ] || fail "100 MB were written, but only $full bytes are used"
[ "$empty" -lt $((full / 2)) ] || fail "fstrim has freed nothing: $empty of $full bytes are used"
