#!/bin/bash
# Farsight in one minute, without root and without Ceph: builds it if need be, serves a file as a network block device,
# writes a real file system into it over NBD, reads it back and compares.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export PATH=$PATH:/usr/sbin:/sbin # mke2fs is there on Debian
farsight=${FARSIGHT:-$PWD/target/farsight/bin/farsight} # FARSIGHT: one that is installed

say() { printf '\n== %s\n' "$*"; }
need() { # COMMAND PACKAGE: installs the package if root may, or says what to do
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get install -y -qq --no-install-recommends "$2" ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; }; } >/dev/null
    else
        echo "quickstart: $1 is missing: run 'apt-get install $2' as root" >&2
        exit 1
    fi
}

need mke2fs e2fsprogs
if [ ! -x "$farsight" ]; then
    need mvn maven
    say "Building"
    mvn -B -q -ntp package -DskipTests
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/farsight.XXXXXX")
server=
trap '[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true; rm -rf "$work"' EXIT

say "A file system image with the project's sources in it"
mke2fs -q -t ext4 -d src "$work/source.img" 64M
ls -lh "$work/source.img"

say "Serving disk.img, new and empty, as export 'disk'"
cat >"$work/server.toml" <<C
[server]
unix = "$work/farsight.sock"

[exports.disk]
backend = "file"
path = "$work/disk.img"
create = true
size = "64MiB"
C
cat "$work/server.toml"
"$farsight" server "$work/server.toml" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    grep -q '^farsight: serving' "$work/server.log" && break
    kill -0 $server 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
    sleep 0.1
done
uri=$(sed -n 's/^farsight: serving //p' "$work/server.log")
echo "-> $uri"

say "What the server offers: farsight info"
"$farsight" info "$uri"

say "Writing the image into the export over NBD, and reading it back: farsight copy"
"$farsight" copy "$work/source.img" "$uri"
"$farsight" copy "$uri" "$work/back.img"

compare() { # FILE: its checksum must be the source's
    local sum
    sum=$(sha256sum <"$1"); sum=${sum%% *}
    printf '%s  %s\n' "$sum" "$2"
    [ "$sum" = "$expected" ] || { echo "quickstart: the checksums differ" >&2; exit 1; }
}
say "The checksums"
expected=$(sha256sum <"$work/source.img"); expected=${expected%% *}
compare "$work/source.img" "source"
compare "$work/back.img" "read back by farsight"
compare "$work/disk.img" "the server's file"
if command -v qemu-img >/dev/null; then
    qemu-img convert -f raw -O raw "$uri" "$work/qemu.img"
    compare "$work/qemu.img" "read back by qemu-img"
fi
if command -v nbdcopy >/dev/null; then
    nbdcopy "$uri" "$work/nbdcopy.img"
    compare "$work/nbdcopy.img" "read back by nbdcopy"
fi
if command -v nbdinfo >/dev/null; then
    say "The same export as nbdinfo sees it"
    nbdinfo "$uri"
fi
e2fsck -fn "$work/back.img" >/dev/null 2>&1 && say "The file system that was read back is clean"

say "It works. To have it as a block device, as root and with the nbd driver (modprobe nbd):"
cat <<T
  # client.toml
  [nbd]
  file = "/dev/nbd0"
  blocksize = 4096

  [server]
  unix = "/path/of/the/server.sock"    # or address = "server", port = 10809

  [backend]
  export = "disk"

  $farsight client client.toml         # until Ctrl-C; then: mount /dev/nbd0 /mnt
T
