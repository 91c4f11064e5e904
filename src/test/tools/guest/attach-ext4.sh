#!/bin/bash
# attach-ext4.sh FARSIGHT CONFIG PORT MEGABYTES: in the guest of nbd-kernel, puts an ext4 file system with that many
# megabytes of random data on /dev/nbd0, which CONFIG attaches, and finds it whole after a detach and another attach.
farsight=$1 config=$2 port=$3 megabytes=$4 device=nbd0
. "$(dirname "$0")/attach.sh"

await 90 "the server on port $port" listening "$port"
step "the server listens"

attach "$config"
step "attached, $(cat /sys/block/$device/size) sectors"
[ "$(cat /sys/block/$device/queue/logical_block_size)" = 4096 ] || fail "the block size is not the configured 4096"
mkfs.ext4 -q /dev/$device
mount /dev/$device /mnt
head -c "${megabytes}M" /dev/urandom >/mnt/random
written=$(sha256sum </mnt/random)
umount /mnt
step "written $megabytes MB: $written"
detach TERM
step "detached"

echo 3 >/proc/sys/vm/drop_caches # what is read from here on comes from the server
attach "$config"
step "attached again"
fsck.ext4 -fn /dev/$device || fail "the file system is not clean"
mount -o ro /dev/$device /mnt
read=$(sha256sum </mnt/random)
umount /mnt
step "read $megabytes MB: $read"
[ "$read" = "$written" ] || fail "what was read is not what was written"
detach INT
step "detached"
