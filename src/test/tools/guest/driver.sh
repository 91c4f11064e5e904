#!/bin/bash
# driver.sh FARSIGHT CONFIG PORT: in the guest of nbd-kernel, the client loads the kernel's driver itself: from a plain
# module, then from one that is compressed. On the way a service manager listens to the client.
farsight=$1 config=$2 port=$3 device=nbd0
. "$(dirname "$0")/attach.sh"
. "$NBD_KERNEL_RUN/settings" # where the guest's modules are

unload() {
    python3 -c 'import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)
raise SystemExit(os.strerror(ctypes.get_errno()) if libc.delete_module(b"nbd", os.O_NONBLOCK) else 0)'
}
loaded() { [ -d /sys/module/nbd ]; }

await 90 "the server on port $port" listening "$port"
unload || fail "cannot unload nbd"
loaded && fail "nbd is still loaded"

# refused PATTERN: the client ends with status 1 and a single line that has the pattern.
refused() {
    local status=0 printed
    printed=$(timeout 90 "$farsight" client "$config" 2>&1) || status=$?
    step "status $status: $printed"
    [ "$status" = 1 ] && [ "$(wc -l <<<"$printed")" = 1 ] && grep -qE "$1" <<<"$printed" || fail "expected '$1'"
}

own=/lib/modules/$(uname -r)
rm -rf "$own"
refused "nbd is not loaded, and the modules of this kernel are not here .*modprobe nbd"
mkdir -p "$own"
touch "$own/modules.dep"
refused "nbd is not loaded, and not among its modules .*install"
cp "$modules/drivers/block/nbd.ko" "$own/nbd.ko"
echo "nbd.ko:" >"$own/modules.dep"
refused_user=$(setpriv --bounding-set -sys_module "$farsight" client "$config" 2>&1) && fail "loaded without the right to"
step "$refused_user"
grep -q "cannot load .*CAP_SYS_MODULE" <<<"$refused_user" || fail "expected CAP_SYS_MODULE"
loaded && fail "nbd is loaded"

python3 -c 'import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/notify")
while True: print(repr(s.recv(4096).decode()), flush=True)' >/run/notified 2>&1 &
manager=$!
disown
await 90 "the service manager" test -S /run/notify
export NOTIFY_SOCKET=/run/notify

# Without the driver there is no device to look at yet.
free() { ! loaded || { [ "$(cat "/sys/block/$device/size")" = 0 ] && [ ! -e "/sys/block/$device/pid" ]; }; }
attached() { loaded && [ "$(cat "/sys/block/$device/size")" != 0 ] && [ -e "/sys/block/$device/pid" ]; }

# Other packages have options for nbd, too (nbd-client of Debian).
rm -rf /etc/modprobe.d /run/modprobe.d /lib/modprobe.d
mkdir -p /etc/modprobe.d
echo "options nbd nbds_max=3" >/etc/modprobe.d/nbd.conf
attach "$config"
step "attached with the driver of $own/nbd.ko"
[ "$(cat /sys/module/nbd/parameters/nbds_max)" = 3 ] || fail "the administrator's option is not respected"
# The kernel makes it one less than a power of two.
[ "$(cat /sys/module/nbd/parameters/max_part)" = 31 ] || fail "max_part is not what 16 is made to"
await 90 "READY=1" grep -q "^'READY=1.nSTATUS=attached nbd://10.0.2.2/disk to /dev/nbd0" /run/notified
detach TERM
await 90 "STOPPING=1" grep -q "^'STOPPING=1'" /run/notified
await 90 "nbd unloaded" unload # the kernel may still be clearing up after the device

rm /etc/modprobe.d/nbd.conf
gzip "$own/nbd.ko"
echo "nbd.ko.gz:" >"$own/modules.dep"
attach "$config"
step "attached with the driver of $own/nbd.ko.gz"
[ "$(cat /sys/module/nbd/parameters/nbds_max)" = 16 ] || fail "nbds_max is not 16"
detach TERM
kill "$manager"
