#!/bin/bash
# What a new process does in its first second: 4 KiB random reads of a memory export over a unix socket at depth 32 and at
# depth 1, each from a start of its own, by hammer.c, which connects as soon as the server listens. Beside it the steady
# state, the 11th and 12th second of the same run. Prints each round and the medians; exit status 1 when a median of the
# steady state is more than 2 times that of the first second.
#   benchmarks/warmup.sh [ROUNDS=5]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -x target/farsight/bin/farsight ] || mvn -B -q -ntp package -DskipTests
for tool in cc python3; do
    command -v $tool >/dev/null || { echo "warmup.sh: $tool is missing: apt-get install gcc python3" >&2; exit 1; }
done
exec python3 - "${1:-5}" <<'PYTHON'
import json, os, socket, statistics, subprocess, sys, tempfile, time

DEPTHS, STEADY, PROMISED = (32, 1), slice(10, 12), 2
rounds = int(sys.argv[1])
work = tempfile.TemporaryDirectory(prefix="farsight-warmup.")
hammer, path = work.name + "/hammer", work.name + "/socket"
server_words = ["target/farsight/bin/farsight", "server", "--export", "disk=memory:64MiB", "--listen", "unix:" + path]


def listening():
    """Starts a server and waits until it accepts."""
    with open(work.name + "/log", "w") as log:
        process = subprocess.Popen(server_words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    begin = time.monotonic()
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(path)
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() - begin > 60:
                process.kill()
                with open(work.name + "/log") as log:
                    sys.exit("warmup.sh: the server did not start: " + log.read().strip())
            time.sleep(0.0005)


def run(depth):
    """Operations in the first second, with connecting in it, and of a second in the steady state."""
    server = listening()
    try:
        done = subprocess.run([hammer, f"unix:{path}?disk", "read", "4096", str(depth), "1", str(STEADY.stop + 0.1)],
                              capture_output=True, text=True, timeout=60)
    finally:
        server.terminate()
        server.wait()
    if done.returncode != 0:
        sys.exit("warmup.sh: " + done.stderr.strip())
    each = json.loads(done.stdout)["each"]
    return each[0], statistics.mean(each[STEADY])


subprocess.run(["cc", "-O2", "-o", hammer, "benchmarks/hammer.c"], check=True)
print(f"4 KiB reads, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start")
figures = {depth: [] for depth in DEPTHS}
for i in range(rounds):
    for depth in DEPTHS:
        first, steady = run(depth)
        figures[depth].append((first, steady))
        print(f"  round {i + 1}, depth {depth}: first second {first}, steady {steady:.0f}", flush=True)
print("\n| depth | first second | a second of the steady state | steady to first |\n|---|---|---|---|")
slow = []
for depth, runs in figures.items():
    first, steady = (statistics.median(v) for v in zip(*runs))
    print(f"| {depth} | {first:,.0f} | {steady:,.0f} | {steady / max(1, first):.2f} |")
    if steady > PROMISED * first:
        slow.append(str(depth))
if slow:
    sys.exit(f"warmup.sh: more than {PROMISED} times at depth {' and '.join(slow)}")
PYTHON
