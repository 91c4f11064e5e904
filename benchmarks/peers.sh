#!/bin/bash
# farsight beside nbdkit, qemu-nbd, nbd-server and a ceiling of sends and receives, in turn on one machine: throughput,
# tail latency and the server's processor time per operation. Writes Markdown, CSV and a chart.
#   benchmarks/peers.sh [--rounds 3] [--seconds 2] [--rows REGEX] [--out DIR] [--io auto,uring,epoll]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -x target/farsight/bin/farsight ] || mvn -B -q -ntp package -DskipTests
for tool in fio nbdkit qemu-nbd nbd-server nbdcopy cc python3; do
    command -v $tool >/dev/null || { echo "peers.sh: $tool is missing: bash src/test/tools/install-packages" >&2; exit 1; }
done
exec python3 benchmarks/peers.py "$@"
