#!/bin/bash
# attach-errors.sh FARSIGHT CONFIGS PORT: in the guest of nbd-kernel, attempts to attach that have to fail with exit
# status 1 and one line that names what is wrong. CONFIGS is a folder with good.toml (which attaches /dev/nbd0),
# no-server.toml, no-export.toml and no-device.toml.
farsight=$1 configs=$2 port=$3 device=nbd0
. "$(dirname "$0")/attach.sh"

# refused PATTERN COMMAND...: the command ends soon, with exit status 1 and a single line that has the pattern.
refused() {
    local pattern=$1 status=0 printed
    shift
    printed=$(timeout 90 "$@" 2>&1) || status=$?
    step "status $status: $printed"
    [ "$status" = 1 ] || fail "exit status $status instead of 1 of: $*"
    [ "$(wc -l <<<"$printed")" = 1 ] || fail "not one line: $printed"
    grep -qE "$pattern" <<<"$printed" || fail "nothing of '$pattern' in: $printed"
}

await 90 "the server on port $port" listening "$port"

refused '10\.0\.2\.2.*10999' "$farsight" client "$configs/no-server.toml"
refused 'nothing-here' "$farsight" client "$configs/no-export.toml"
refused '/dev/nbd99' "$farsight" client "$configs/no-device.toml"
permission='/dev/nbd0.*([Pp]ermission|root)'
# Opening the device is refused to those who do not own it, using it to those without CAP_SYS_ADMIN. Still root, so
# that everything else can be read.
chown nobody /dev/$device
refused "$permission" setpriv --bounding-set -sys_admin,-dac_override "$farsight" client "$configs/good.toml"
chown root /dev/$device
refused "$permission" setpriv --bounding-set -sys_admin "$farsight" client "$configs/good.toml"
free || fail "/dev/$device is not free after refusals"

FARSIGHT_NBD_QUEUE='no_such = "1"' refused '/sys/block/nbd0/queue/no_such: this kernel has no such' \
    "$farsight" client "$configs/good.toml"
FARSIGHT_NBD_QUEUE='read_ahead_kb = "much"' refused 'queue/read_ahead_kb: the kernel does not take "much"' \
    "$farsight" client "$configs/good.toml"
free || fail "/dev/nbd0 is not free after settings that are refused"

attach "$configs/good.toml"
refused '/dev/nbd0.*in use' "$farsight" client "$configs/good.toml"
attached || fail "/dev/$device is lost after a second client's attempt"
dd if=/dev/$device of=/dev/null bs=4096 count=1 iflag=direct status=none
detach TERM
