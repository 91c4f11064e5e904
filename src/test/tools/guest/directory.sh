#!/bin/bash
# directory.sh FARSIGHT SERVER: in the guest of nbd-kernel, one client serves a directory of files, which come, change
# and go while fio verifies what it writes on the device of one that does not. SERVER has the exports a, b and c.
farsight=$1 server=$2 device=nbd0
. "$(dirname "$0")/attach.sh"

folder=/run/farsight-clients
mkdir -p $folder
stop=/run/stop-io

# file NAME DEVICE EXPORT [LINE]: a file that appears as a whole.
file() {
    cat >"$folder/.$1" <<END
[nbd]
file = "/dev/$2"
${4-}
[server]
address = "${server%:*}"
port = ${server#*:}
[backend]
export = "$3"
END
    mv "$folder/.$1" "$folder/$1"
}

is_attached() { device=$1 attached; }
is_free() { device=$1 free; }
said() { grep -q "$1" "$client_log"; }
# What the kernel makes anew with every attachment.
generation() { stat -c %i "/sys/block/$1/pid"; }
start() {
    "$farsight" client $folder >"$client_log" 2>&1 &
    client=$!
}

# Writes and verifies until it is told to stop; any error is the end of the test.
keep_io_going() {
    while [ ! -e $stop ]; do
        fio --name=io --directory=/mnt --size=8m --rw=randwrite --bs=4k --direct=1 --iodepth=4 --ioengine=libaio \
            --verify=crc32c --verify_fatal=1 >/run/fio.log 2>&1 || { touch /run/fio-failed; return; }
        echo >>/run/fio-rounds
    done
}

await 60 "the server on ${server#*:}" listening "${server#*:}"
file a.toml nbd0 a
file .hidden.toml nbd3 b
file tmp.b.toml nbd3 b
echo 'file = /dev/nbd3' >$folder/bad.toml
touch $folder/README
start
await 60 "the first device" is_attached nbd0
await 60 "the line for the bad file" said "bad.toml:1:"
await 60 "the number of devices" said "^farsight: $folder: 1 of 1 devices attached$"
step "attached what was there"

mkfs.ext4 -q /dev/nbd0
mount /dev/nbd0 /mnt
keep_io_going &
io=$!
first=$(generation nbd0)

file b.toml nbd1 b
await 60 "a device for a new file" is_attached nbd1
step "attached a new file's"

second=$(generation nbd1)
echo "# changed, but not in what it means" >>$folder/b.toml
file c.toml nbd2 c # when that is there, the change before it has been looked at
await 60 "another device" is_attached nbd2
[ "$(generation nbd1)" = "$second" ] || fail "a comment made the device be attached again"

[ "$(cat /sys/block/nbd1/ro)" = 0 ] || fail "nbd1 is read-only"
file b.toml nbd1 b "read_only = true"
changed() { is_attached nbd1 && [ "$(cat /sys/block/nbd1/ro)" = 1 ]; }
await 60 "the change" changed
step "attached a changed file's again"

printf '[nbd]\nfiel = "/dev/nbd1"\n' >$folder/b.toml
await 60 "the line for the broken file" said "b.toml.*; its device stays as it is"
is_attached nbd1 || fail "a broken file detached its device"

# Devices that are used stay, be it that their file has changed or is gone.
file a.toml nbd0 a "read_only = true"
await 60 "the wait for nbd0" said "nbd0 is mounted on /mnt; it is detached when"
exec 5</dev/nbd2
rm $folder/c.toml
await 60 "the wait for nbd2" said "nbd2 is open in process $$; it is detached when"
is_attached nbd2 || fail "nbd2 was detached while it was open"
exec 5<&-
await 60 "nbd2 free" is_free nbd2
file a.toml nbd0 a
rm $folder/b.toml
await 60 "nbd1 free" is_free nbd1
step "detached what files went"

[ "$(generation nbd0)" = "$first" ] || fail "nbd0 was attached again"
touch $stop
wait $io
[ ! -e /run/fio-failed ] || fail "I/O failed: $(cat /run/fio.log)"
step "fio verified $(wc -l </run/fio-rounds) rounds on nbd0 meanwhile"

# A client that ends leaves what is mounted to the next one, which takes it over.
kill -TERM $client
await 60 "the client's end" ended
wait $client || fail "the client's exit status is $?"
said "nbd0 stays attached: it is mounted on /mnt" || fail "no line for nbd0"
is_attached nbd0 || fail "a mounted device was detached"
start
await 60 "nbd0 taken over" said "took over /dev/nbd0"
[ "$(generation nbd0)" = "$first" ] || fail "nbd0 was attached again"
head -c 1M /dev/urandom >/mnt/random
umount /mnt
fsck.ext4 -fn /dev/nbd0 >/dev/null || fail "the file system is not clean"

"$farsight" detach /dev/nbd0
await 60 "the line for the detached device" said "/dev/nbd0 was detached by 'farsight detach'"
file a.toml nbd0 a "timeout = 7"
await 60 "nbd0 after a change of its file" is_attached nbd0
rm $folder/a.toml
await 60 "nbd0 free" is_free nbd0
kill -TERM $client
await 60 "the client's end" ended
wait $client || fail "the client's exit status is $?"
is_free nbd3 || fail "a file to be ignored was attached"
step "all is free"
