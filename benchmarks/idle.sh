#!/bin/bash
# What a connection costs of memory that has made one request and then idles: resident memory with a hundred of them, and
# with a thousand more.
#   benchmarks/idle.sh
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export FARSIGHT=$PWD/target/farsight/bin/farsight
[ -x "$FARSIGHT" ] || mvn -B -q -ntp package -DskipTests
ulimit -n 8192
exec /usr/bin/python3 - <<'PYTHON'
import os, re, socket, struct, subprocess, tempfile, time

FEW, MORE, BLOCK = 100, 1000, 4096
OPTION, REQUEST, GO, EXPORT, ACK = 0x49484156454F5054, 0x25609513, 7, b"disk", 1
work = tempfile.TemporaryDirectory(prefix="farsight-idle.")
path, config = work.name + "/socket", work.name + "/server.toml"
with open(config, "w") as f:
    f.write(f'[server]\nunix = "{path}"\nmax_connections = {FEW + MORE}\n[exports.disk]\nbackend = "memory"\nsize = "64MiB"\n')


def connected():
    """A client after its handshake (proto.md, NBD_OPT_GO) and a read."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.recv(18, socket.MSG_WAITALL)
    data = struct.pack(">I", len(EXPORT)) + EXPORT + struct.pack(">H", 0)
    s.sendall(struct.pack(">IQII", 3, OPTION, GO, len(data)) + data)
    kind = None
    while kind != ACK:
        _, _, kind, length = struct.unpack(">QIII", s.recv(20, socket.MSG_WAITALL))
        s.recv(length, socket.MSG_WAITALL) if length else b""
    s.sendall(struct.pack(">IHHQQI", REQUEST, 0, 0, 1, 0, BLOCK))
    s.recv(16 + BLOCK, socket.MSG_WAITALL)
    return s


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


server = subprocess.Popen([os.environ["FARSIGHT"], "server", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    while not os.path.exists(path):
        time.sleep(0.05)
    time.sleep(0.5)
    idle = resident(server.pid)
    clients = [connected() for _ in range(FEW)]
    before = resident(server.pid)
    clients += [connected() for _ in range(MORE)]
    after = resident(server.pid)
    print(f"resident: {idle} KiB without clients, {before} with {FEW}, {after} with {FEW + MORE}")
    print(f"each idle connection: {(after - before) / MORE:.1f} KiB")
finally:
    server.terminate()
    server.wait()
PYTHON
