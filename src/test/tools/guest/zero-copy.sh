#!/bin/bash
# zero-copy.sh FARSIGHT PORT DIRECTORY IO [MEASURE]: in the guest of nbd-kernel, whose network device sends from where the
# data lies, a server with zero_copy; its clients are beside the guest, by `beside` in DIRECTORY. What they read is right
# while others stall, leave and are killed with replies on their way; all buffers come back, and the server rests. IO is what
# the loops stand on. With MEASURE, in the end the processor time of reads with zero_copy and without, the latter from a
# second server on the next port.
farsight=$1 port=$2 directory=$3 io=$4 measure=${5:-}
. "$(dirname "$0")/attach.sh"
. "$(dirname "$0")/beside.sh"
reader=$(realpath "$(dirname "$0")/../stalling-reader")
image=$directory/image
declare -A servers

# start NAME PORT ZERO_COPY: a server whose replies lie in a file's pages, in buffers, and in memory that is an export's.
start() {
    truncate -s 64M "/dev/shm/$1.img" "/dev/shm/$1-fio.img"
    cat >"/run/$1.toml" <<END
[server]
address = "0.0.0.0"
port = $2
io = "$io"
loops = 1
max_requests = 8
zero_copy = $3
metrics = "127.0.0.1:$(($2 + 1000))"
[exports.file]
backend = "file"
path = "/dev/shm/$1.img"
[exports.read-only]
backend = "file"
path = "/dev/shm/$1.img"
read_only = true
[exports.memory]
backend = "memory"
size = "64MiB"
[exports.fio]
backend = "file"
path = "/dev/shm/$1-fio.img"
END
    "$farsight" server "/run/$1.toml" >"/run/$1.log" 2>&1 &
    servers[$1]=$!
    await 90 "the server on port $2" grep -q metrics "/run/$1.log"
    if grep 'by epoll instead' "/run/$1.log"; then fail "the server does not use $io"; fi
}

uri() { echo "nbd://10.0.2.15:${2-$port}/$1"; }

# figure PORT NAME: what the server says of itself.
figure() {
    exec 3<>"/dev/tcp/127.0.0.1/$(($1 + 1000))"
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
    awk -v "name=$2" '{ sub(/{.*/, "", $1) } $1 == name { print $2 }' <&3
    exec 3>&-
}

# One is what the loop receives into.
buffers_are_back() { [ "$(figure "$port" farsight_pool_buffers)" -le 1 ]; }

# Also while somebody stalls.
rests() {
    local turns
    turns=$(figure "$port" farsight_loop_turns_total)
    sleep 1
    turns=$(($(figure "$port" farsight_loop_turns_total) - turns))
    [ "$turns" -lt 100 ] && [ "$(figure "$port" farsight_connections)" -gt 0 ]
}

# write EXPORT [PORT]
write() { ask "nbdcopy --connections=4 --threads=4 --request-size=1048576 '$image' $(uri "$@")"; }

# read_back EXPORT SIZE TIMES: in requests of that size, into a file, as into a pipe there would be one request at a time.
read_back() {
    ask "for i in {1..$3}; do nbdcopy --connections=4 --threads=4 --request-size=$2 $(uri "$1") back-\$\$ &&" \
        "cmp back-\$\$ '$image' || exit; done; rm back-\$\$"
}

# stall EXPORT ARGUMENTS...: see the reader.
stall() { ask "'$reader' $(uri "$1") '$image' ${*:2}"; }

# Sockets take more than their clients do: most of it stays where it was sent from.
echo 4096 4194304 4194304 >/proc/sys/net/ipv4/tcp_wmem
start zero "$port" true
ask "head -c 64M /dev/urandom >'$image'"
answer
for export in file memory; do
    write $export
    answer
done
for export in file read-only memory; do
    for size in 262144 1048576 16777216; do read_back $export $size 2; done
    answers
done
step "written, and read by several at a time"

ask "fio --name=verify --ioengine=nbd --uri=$(uri fio) --rw=randrw --bs=256k --iodepth=8 --size=64M --io_size=192M" \
    "--verify=crc32c --verify_fatal=1 --verify_backlog=16 --output=fio.log || { cat fio.log; false; }"
for export in file read-only memory; do
    stall $export 0 16 1
    stall $export 40 24 3
    stall $export 20 3 0.5 goodbye # which the socket takes at once, so that the server ends the connection
done
for size in 262144 1048576; do read_back read-only $size 10; done
for i in {1..20}; do
    stall read-only $((i * 2)) 16 0.$((i % 4)) killed
    expected[asked]=137
done
answers
step "read beside those that stalled, left and were killed"

await 30 "the buffers of those that were killed" buffers_are_back
stall memory 0 32 8
await 8 "that the loop rests while a client stalls" rests
answer
await 30 "the buffers of all" buffers_are_back
sent=$(figure "$port" farsight_loop_sent_bytes_total)
in_place=$(figure "$port" farsight_loop_sent_in_place_bytes_total)
step "sent $sent bytes, in place $in_place"
[ $((in_place * 2)) -gt "$sent" ] || fail "most was not sent in place"

# cost NAME PORT EXPORT: processor time of half a GiB of reads by one client, in ticks of user and system.
cost() {
    local before after
    before=($(cut -d ' ' -f 14,15 "/proc/${servers[$1]}/stat"))
    ask "for i in {1..8}; do nbdcopy --request-size=1048576 $(uri "$3" "$2") null: || exit; done"
    answer
    after=($(cut -d ' ' -f 14,15 "/proc/${servers[$1]}/stat"))
    step "$3, $1: $((after[0] - before[0])) user + $((after[1] - before[1])) system ticks for 512 MiB"
}

if [ -n "$measure" ]; then
    start plain $((port + 1)) false
    for export in file memory; do
        write $export $((port + 1))
        answer
    done
    for export in memory read-only memory read-only; do
        cost zero "$port" $export
        cost plain $((port + 1)) $export
    done
    [ "$(figure $((port + 1)) farsight_loop_sent_in_place_bytes_total)" = 0 ] || fail "sent in place without being told to"
fi

# What was sent arrives even though the server is gone.
sent=$(figure "$port" farsight_loop_sent_bytes_total)
stall read-only 0 3 4 goodbye
has_left() {
    [ "$(figure "$port" farsight_connections)" = 0 ] &&
        [ "$(figure "$port" farsight_loop_sent_bytes_total)" != "$sent" ]
}
await 4 "the client's leave" has_left
for name in "${!servers[@]}"; do
    kill -TERM "${servers[$name]}"
    wait "${servers[$name]}" || fail "the server $name ended with status $?: $(cat "/run/$name.log")"
    if grep -E 'warning|error:' "/run/$name.log"; then fail "the server $name complains"; fi
done
answers
step "ended"
