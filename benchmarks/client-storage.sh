#!/bin/bash
# client-storage.sh FARSIGHT DIRECTORY: for client.sh, beside the guest of nbd-kernel, which shares DIRECTORY: a Ceph
# cluster, and a farsight server for its image and for memory. DIRECTORY/ready appears when both can be used. The server
# is broken as DIRECTORY/asked says, see faulty-server, and the cluster as it does with these names:
#
#   osd      SIGKILL to the object store; two seconds later it is started again
#   grow     the image becomes larger
set -euo pipefail
farsight=$1 directory=$2 tools=$(dirname "$(readlink -f "$0")")/../src/test/tools ceph=$2/ceph asked=$2/asked
mkdir "$asked"
MINI_CEPH_ADDRESS=10.0.2.2 "$tools/mini-ceph" start "$ceph"
# Nobody lets librbd cache, so that all do the same work.
printf '[client]\nrbd_cache = false\n' >>"$ceph/farsight.conf"
image() { timeout 60 rbd -c "$ceph/farsight.conf" --id farsight --no-progress "$@"; }
# Without the lock that writers hand each other.
image create --size 256M --image-feature layering rbd/figures
for image in disk:256M smaller:64M; do
    image create --size "${image#*:}" "rbd/${image%:*}"
    cat >"$directory/${image%:*}.toml" <<T
[server]
address = "10.0.2.2"
[rbd]
ceph_conf = "$ceph/farsight.conf"
ceph_user = "farsight"
[exports.disk]
backend = "rbd"
pool = "rbd"
image = "${image%:*}"
[exports.figures]
backend = "rbd"
pool = "rbd"
image = "figures"
[exports.memory]
backend = "memory"
size = "256MiB"
T
done
"$tools/faulty-server" "$asked" "$farsight" server "$directory/disk.toml" &
touch "$directory/ready"
while sleep 0.1; do
    if [ -e "$asked/osd" ]; then
        "$tools/mini-ceph" kill-osd "$ceph"
        sleep 2
        "$tools/mini-ceph" start-osd "$ceph"
        mv "$asked/osd" "$asked/osd.done"
    fi
    if [ -e "$asked/grow" ]; then
        image resize --size 384M rbd/disk
        mv "$asked/grow" "$asked/grow.done"
    fi
done
