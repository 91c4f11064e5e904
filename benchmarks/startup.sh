#!/bin/bash
# From exec to a socket that accepts, side by side: farsight, nbdkit, qemu-nbd, in turn; then whole runs of commands, and
# what the server holds of memory when it idles. Prints medians, least and most, in milliseconds.
#   benchmarks/startup.sh [ROUNDS=15]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export FARSIGHT_HOME_BIN=${FARSIGHT:-$PWD/target/farsight/bin/farsight}
[ -x "$FARSIGHT_HOME_BIN" ] || mvn -B -q -ntp package -DskipTests
for tool in nbdkit qemu-nbd; do
    command -v $tool >/dev/null || { echo "startup.sh: $tool is missing: apt-get install nbdkit qemu-utils" >&2; exit 1; }
done
exec /usr/bin/python3 - "${1:-15}" <<'PYTHON'
import os, re, socket, statistics, subprocess, sys, tempfile, time

rounds = int(sys.argv[1])
farsight = os.environ.pop("FARSIGHT_HOME_BIN")
work = tempfile.TemporaryDirectory(prefix="farsight-startup.")
path = work.name + "/socket"
uri = "nbd+unix:///disk?socket=" + path
quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
servers = {
    "farsight server": [farsight, "server", "--export", "disk=memory:64MiB", "--listen", "unix:" + path],
    "nbdkit memory": ["nbdkit", "-f", "-U", path, "memory", "64M"],
    "qemu-nbd null-co": ["qemu-nbd", "-x", "disk", "-t", "-k", path, "-f", "raw", "null-co://"],
}


def listening(words):
    """Starts a server; seconds until it accepts, and the process."""
    if os.path.exists(path):
        os.unlink(path)
    begin = time.monotonic()
    process = subprocess.Popen(words, **quiet)
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(path)
            return time.monotonic() - begin, process
        except OSError:
            if process.poll() is not None or time.monotonic() - begin > 60:
                sys.exit("did not start: " + " ".join(words))
            time.sleep(0.0005)


def end(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:  # qemu-nbd forgets a signal that comes early
        process.kill()
        process.wait()


def row(name, seconds):
    ms = sorted(1000 * s for s in seconds)
    print(f"| {name} | {statistics.median(ms):.0f} | {ms[0]:.0f} | {ms[-1]:.0f} |")


times = {name: [] for name in servers}
for _ in range(rounds):
    for name, words in servers.items():
        seconds, process = listening(words)
        times[name].append(seconds)
        end(process)
print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the end, {rounds} rounds\n")
print("| ms | median | least | most |\n|---|---|---|---|")
for name, seconds in times.items():
    row(name + ", exec to listening", seconds)

_, process = listening(servers["farsight server"])
try:
    for words in (["--version"], ["info", uri]):
        runs = []
        for _ in range(rounds):
            begin = time.monotonic()
            subprocess.run([farsight, *words], check=True, **quiet)
            runs.append(time.monotonic() - begin)
        row("farsight " + words[0] + ", whole run", runs)
    status = open(f"/proc/{process.pid}/status").read()
    resident = re.search(r"VmRSS:\s+(\d+)", status)[1]
    print(f"\nresident when idle: {int(resident) // 1024} MiB")
finally:
    end(process)
PYTHON
