# Functions for scripts that run in the guest of nbd-kernel and attach devices with `farsight client`. A script sets
# `farsight` (the launcher) and `device`, and sources this file.
set -euo pipefail
set -m # or else background processes would ignore SIGINT

export FARSIGHT_JAVA_OPTS="-Xmx128m"
client=
client_log=$(mktemp)

fail() {
    echo "failed: $*"
    if [ -n "$client" ]; then sed 's/^/client: /' "$client_log"; fi
    exit 1
} >&2

step() { echo "$((SECONDS)) s: $*"; }

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "waited in vain: $what"
        sleep 0.1
    done
}

listening() { (exec 3<>"/dev/tcp/10.0.2.2/$1") 2>/dev/null; }

# What the kernel says of the device: it has a size, and a process behind it, for as long as it is attached.
attached() { [ "$(cat "/sys/block/$device/size")" != 0 ] && [ -e "/sys/block/$device/pid" ]; }
free() { [ "$(cat "/sys/block/$device/size")" = 0 ] && [ ! -e "/sys/block/$device/pid" ]; }

attached_or_ended() { attached || ! kill -0 "$client" 2>/dev/null; }

# attach CONFIG: returns when the device is there; the client runs on in the background.
attach() {
    free || fail "/dev/$device is in use"
    "$farsight" client "$1" >"$client_log" 2>&1 &
    client=$!
    await 90 "/dev/$device attached" attached_or_ended
    attached || fail "the client ended before /dev/$device was attached"
}

# detach SIGNAL: ends the client, which has to leave a free device and exit status 0.
detach() {
    local status=0
    kill "-$1" "$client"
    await 90 "the client's end after SIG$1" ended
    wait "$client" || status=$?
    [ "$status" = 0 ] || fail "the client's exit status after SIG$1 is $status instead of 0"
    free || fail "/dev/$device is not free after SIG$1"
    client=
}

ended() { [ -z "$(jobs -pr)" ]; }
