#!/bin/bash
# Many connections: 4 KiB random reads of a memory export over a unix socket by 1, 4, 16, 64 and 512 of them, farsight,
# nbdkit and qemu-nbd in turn, by hammer.c. Prints a Markdown table of the medians: IOPS, farsight's ratio to each other,
# the server's processor time for an operation, and what farsight holds of memory while they are open.
#   benchmarks/scaling.sh [ROUNDS=3] [SECONDS=1]
# The processor time has connecting and closing in it. A server that does not serve so many is "refused" there, with the
# reason on standard error.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -x target/farsight/bin/farsight ] || mvn -B -q -ntp package -DskipTests
for tool in fio nbdkit qemu-nbd cc python3; do
    command -v $tool >/dev/null || { echo "scaling.sh: $tool is missing: bash src/test/tools/install-packages" >&2; exit 1; }
done
ulimit -n "$(ulimit -Hn)" # nbdkit has several descriptors for each connection
export PYTHONDONTWRITEBYTECODE=1
exec python3 - "${1:-3}" "${2:-1}" <<'PYTHON'
import glob, os, statistics, subprocess, sys, tempfile, threading

sys.path.insert(0, "benchmarks")
import peers

COUNTS = [(1, 32), (4, 8), (16, 8), (64, 8), (512, 8)]  # connections, and the depth of each
SERVERS = ["farsight", "nbdkit", "qemu"]
rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
peers.SIZE = 64 << 20  # what farsight holds of memory has the export in it, so a small one


def run(server, row, work):
    """One run of the client: IOPS, processor time for an operation in us, and the most memory that the server held in KiB."""
    most, over = [server.resident()], threading.Event()

    def watch():
        while not over.wait(0.1):
            most.append(server.resident())

    watcher = threading.Thread(target=watch)
    before = server.cpu()
    watcher.start()
    try:
        figures = peers.client(server, row, seconds, work)
    finally:
        over.set()
        watcher.join()
    return figures["iops"], (server.cpu() - before) * 1e6 / max(1, figures["ops"]), max(most)


def measured(servers, connections, depth, work):
    """The medians of each server that serves so many."""
    row = ("memory", "unix", "hammer", "read", 4096, depth, connections)
    runs, refused = {s.name: [] for s in servers}, set()
    for turn in range(rounds + 1):
        for server in servers[turn % len(servers):] + servers[:turn % len(servers)]:
            if server.name in refused:
                continue
            try:
                one = run(server, row, work)
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                print(f"scaling.sh: {server.name}, {connections} connections: {e}", file=sys.stderr)
                refused.add(server.name)
                continue
            if turn:  # the first turn warms up
                runs[server.name].append(one)
    return {name: [statistics.median(v) for v in zip(*some)] for name, some in runs.items() if name not in refused}


def cells(connections, depth, medians):
    ours = medians.get("farsight")
    for name in names:
        yield f"{medians[name][0]:,.0f}" if name in medians else "refused"
    for name in names[1:]:
        yield f"{ours[0] / medians[name][0]:.2f}" if ours and name in medians else ""
    for name in names:
        yield f"{medians[name][1]:.2f}" if name in medians else ""
    yield f"{ours[2] / 1024:.0f}" if ours else ""


with tempfile.TemporaryDirectory(prefix="farsight-scaling.") as work:
    subprocess.run(["cc", "-O2", "-o", os.path.join(work, "hammer"), "benchmarks/hammer.c"], check=True)
    servers = []
    try:
        for name in SERVERS:
            servers.append(peers.start(name, "memory", work, None))
            peers.fill(servers[-1], "unix", work)
        names = [s.name for s in servers]
        print(f"4 KiB reads of {peers.SIZE >> 20} MiB in memory, unix socket, {os.cpu_count()} processors, medians of {rounds}, "
              f"load {os.getloadavg()[0]:.1f} at the start\n")
        titles = ["connections x depth"] + [n + ", IOPS" for n in names] + ["to " + n for n in names[1:]]
        titles += [n + ", µs of processor" for n in names] + [f"farsight resident, MiB ({peers.SIZE >> 20} the export)"]
        print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|", flush=True)
        for connections, depth in COUNTS:
            medians = measured(servers, connections, depth, work)
            print(f"| {connections} x {depth} | " + " | ".join(cells(connections, depth, medians)) + " |", flush=True)
    finally:
        for server in servers:
            server.stop()
        for left in glob.glob(os.path.join("/dev/shm", os.path.basename(work) + "*")):
            os.remove(left)
PYTHON
