#!/bin/bash
# commands.sh FARSIGHT SERVER: in the guest of nbd-kernel, devices by `farsight attach`, `status` and `detach`. SERVER has
# the exports a and b.
farsight=$1 server=$2 device=nbd0
. "$(dirname "$0")/attach.sh"

status() { "$farsight" status --json >/run/status.json && jq -r "$1" </run/status.json; }
equal() { [ "$1" = "$2" ] || fail "'$1' instead of '$2'; $3"; }

# refused PATTERN COMMAND...: exit status 1 and a single line that has the pattern.
refused() {
    local pattern=$1 status=0 printed
    shift
    printed=$("$@" 2>&1) || status=$?
    step "status $status: $printed"
    [ "$status" = 1 ] && [ "$(wc -l <<<"$printed")" = 1 ] && grep -qE "$pattern" <<<"$printed" || fail "expected '$pattern'"
}

await 60 "the server on ${server#*:}" listening "${server#*:}"
equal "$("$farsight" status)" "no device is attached" "status"
equal "$(status length)" 0 "status --json"

# Somebody looks after this one.
"$farsight" attach "nbd://$server/a" >"$client_log" 2>&1 &
client=$!
await 60 "a free device" grep -q "^farsight: attached nbd://$server/a to /dev/nbd0 (64MiB)$" "$client_log"
dd if=/dev/zero of=/dev/nbd0 bs=4k count=16 oflag=direct status=none
equal "$(status '.[] | "\(.device) \(.uri) \(.backend) \(.attach) \(.size) \(.read_only) \(.reconnects)"')" \
    "/dev/nbd0 nbd://$server/a nbd://$server/a netlink 67108864 false 0" "$(cat /run/status.json)"
equal "$(status '.[] | .writes == 16 and .bytes_written == 65536 and .alive == .connections and .process > 0')" true \
    "$(cat /run/status.json)"
shown=$("$farsight" status)
grep -q "written:      16 requests, 65536 bytes" <<<"$shown" || fail "$shown"
refused "nbd0: is in use" "$farsight" attach "nbd://$server/b" /dev/nbd0

mkfs.ext4 -q /dev/nbd0
mount /dev/nbd0 /mnt
refused "nbd0: is in use: mounted on /mnt; unmount" "$farsight" detach nbd0
umount /mnt
exec 5</dev/nbd0
refused "nbd0: is in use: open in process $$; unmount or close" "$farsight" detach "nbd://$server/a"
exec 5<&-
equal "$("$farsight" detach "nbd://$server/a")" "farsight: detached /dev/nbd0" "detach"
free || fail "/dev/nbd0 is not free"
await 60 "the client's end" ended
wait $client || fail "the exit status of a client whose device was detached is $?: $(cat "$client_log")"
client=
refused "nbd0: is not attached" "$farsight" detach /dev/nbd0
refused "is not attached" "$farsight" detach "nbd://$server/a"

# Nobody looks after this one, until somebody does.
device=nbd1
"$farsight" attach --no-watch --read-only "nbd://$server/b" /dev/nbd1
attached || fail "/dev/nbd1 is not attached"
equal "$(status '.[] | "\(.device) \(.process) \(.alive) \(.read_only)"')" "/dev/nbd1 null null true" "$(cat /run/status.json)"
dd if=/dev/nbd1 of=/dev/null bs=4k count=16 iflag=direct status=none
"$farsight" attach --read-only "nbd://$server/b" >"$client_log" 2>&1 &
client=$!
await 60 "the device taken over" grep -q "^farsight: took over /dev/nbd1 with nbd://$server/b" "$client_log"
kill -KILL $client
wait $client || true
client=
touch /run/farsight/nbd1.new # as when it is killed while it writes its state
"$farsight" detach --force /dev/nbd1
free || fail "/dev/nbd1 is not free"

# A server that is gone: what waits for it goes on waiting until the device is detached by force.
device=nbd2
socket=/run/s
"$farsight" server --export x=memory:64MiB --listen unix:$socket >/run/server.log 2>&1 &
local_server=$!
await 60 "the server on $socket" test -S $socket
"$farsight" attach "nbd+unix:///x?socket=$socket" /dev/nbd2 >"$client_log" 2>&1 &
client=$!
await 60 "/dev/nbd2" attached
kill -KILL $local_server
wait $local_server || true
lonely() { [ "$(status '.[] | "\(.uri) \(.alive)"')" = "nbd+unix:///x?socket=$socket 0" ]; }
await 60 "no connection alive" lonely
dd if=/dev/nbd2 of=/dev/null bs=4k count=1 iflag=direct status=none 2>/run/dd.log &
reader=$!
waiting() { grep -q '^State:.*D' /proc/$reader/status; }
await 60 "a request that waits" waiting
refused "nbd2: has no connection to its server" "$farsight" detach /dev/nbd2
"$farsight" detach --force /dev/nbd2
wait $reader && fail "a read of a device without a server succeeded"
await 60 "the client's end" ended
wait $client || fail "the exit status of a client whose device was detached by force is $?: $(cat "$client_log")"
client=
free || fail "/dev/nbd2 is not free"
equal "$(ls /run/farsight | grep -v lock || true)" "" "what is left in /run/farsight"
step "all is free"
