#!/bin/bash
# attach-matrix.sh FARSIGHT PORT: in the guest of nbd-kernel, attaches the export "disk" by ioctl and by netlink, with one
# connection and with four; uses it with two file systems, and finds the last of them whole on another device.
farsight=$1 port=$2 device=
. "$(dirname "$0")/attach.sh"
configs=/run/configs
mkdir -p $configs

# config ATTACH CONNECTIONS
config() {
    cat >"$configs/$device.toml" <<END
[nbd]
file = "/dev/$device"
attach = "$1"
connections = $2
queue = { read_ahead_kb = "512" }
[server]
address = "10.0.2.2"
port = $port
[backend]
export = "disk"
END
}

make() {
    case $1 in
        ext4) mkfs.ext4 -q -F /dev/$device ;;
        xfs) mkfs.xfs -q -f /dev/$device ;;
    esac
}

check() {
    case $1 in
        ext4) fsck.ext4 -fn /dev/$device >/dev/null 2>&1 ;;
        xfs) xfs_repair -n /dev/$device >/dev/null 2>&1 ;;
    esac || fail "$1 on /dev/$device is not clean"
}

# use FILE_SYSTEM: makes one, verifies what is written to it, and gives the space back.
use() {
    make "$1"
    mount /dev/$device /mnt
    fio --name=verify --filename=/mnt/data --size=16M --rw=randrw --bsrange=4k-64k --direct=1 --ioengine=libaio \
        --iodepth=16 --verify=crc32c --verify_fatal=1 --output=/run/fio.log || { cat /run/fio.log; fail "fio on $1"; }
    rm /mnt/data
    fstrim /mnt || fail "$1 cannot discard"
    head -c 8M /dev/urandom >/mnt/kept
    written=$(sha256sum </mnt/kept)
    umount /mnt
    check "$1"
}

# nothing_left: in sysfs or in our state.
nothing_left() {
    free || fail "/dev/$device is not free"
    [ ! -e /sys/block/$device/backend ] || fail "/sys/block/$device/backend is left"
    [ ! -e /run/farsight/$device ] || fail "/run/farsight/$device is left"
}

# round ATTACH CONNECTIONS FILE_SYSTEMS...: the last of them is looked at on the other device.
round() {
    local attach=$1 connections=$2 fs kind
    shift 2
    device=nbd0
    config "$attach" "$connections"
    attach "$configs/$device.toml"
    grep -qx "connections=$connections" /run/farsight/$device || fail "not $connections connections"
    await 60 "the queue's setting" grep -qx 512 /sys/block/$device/queue/read_ahead_kb
    grep -qx "attach=$attach" /run/farsight/$device || fail "not attached by $attach"
    if [ "$attach" = netlink ]; then
        [ "$(cat /sys/block/$device/backend)" = "nbd://10.0.2.2/disk" ] || fail "wrong identifier"
    fi
    for kind in "$@"; do fs=$kind && use "$fs"; done
    detach TERM
    nothing_left
    device=nbd1
    config "$attach" "$connections"
    attach "$configs/$device.toml"
    check "$fs"
    mount /dev/$device /mnt
    [ "$(sha256sum </mnt/kept)" = "$written" ] || fail "$fs on /dev/$device has other content"
    umount /mnt
    detach INT
    nothing_left
    step "$attach with $connections: ${*} verified"
}

await 90 "the server on port $port" listening "$port"
round ioctl 1 xfs ext4
round ioctl 4 ext4 xfs
round netlink 1 ext4 xfs
round netlink 4 xfs ext4
if dmesg | grep -E 'I/O error|FS error|Buffer I/O'; then fail "the kernel saw errors"; fi
