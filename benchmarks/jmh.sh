#!/bin/bash
# The JMH benchmarks, with two gates: nothing on the data path allocates, and a batch of 32 is worth at least three
# single requests.
#   benchmarks/jmh.sh [REGEX] [JMH OPTIONS...]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -x target/farsight/bin/farsight ] || mvn -B -q -ntp package -DskipTests
mvn -B -q -ntp -f benchmarks package
java=
for home in "${FARSIGHT_JAVA_HOME:-}" "${JAVA_HOME:-}" /usr/lib/jvm/* /opt/*; do
    version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null || true)
    if [ "${version:-0}" -ge 22 ] && [ -x "$home/bin/java" ]; then java=$home/bin/java; break; fi
done
[ -n "$java" ] || { echo "jmh.sh: no Java 22 or newer; set JAVA_HOME" >&2; exit 1; }
pattern=${1:-.}
shift || true
[ $# -gt 0 ] || set -- -wi 3 -w 1 -i 5 -r 1
# The server's own threads allocate nothing; what a connection's start and the harness allocate is spread over the run.
"$java" --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -cp "benchmarks/target/classes:benchmarks/target/lib/*:target/farsight/lib/*" \
    org.openjdk.jmh.Main "$pattern" -f 1 -prof gc -rf json -rff benchmarks/target/jmh.json \
    -jvmArgs "--enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -Xmx256m" "$@"
python3 - <<'P'
import json, sys
failed = False
score = {}
for r in json.load(open("benchmarks/target/jmh.json")):
    name = r["benchmark"].rsplit(".", 2)
    key = ".".join(name[1:]) + "".join(f" {k}={v}" for k, v in sorted(r.get("params", {}).items()))
    garbage = r["secondaryMetrics"]["gc.alloc.rate.norm"]["score"]
    score[key] = r["primaryMetric"]["score"]
    print(f'{key}: {r["primaryMetric"]["score"]:.1f} {r["primaryMetric"]["scoreUnit"]}, {garbage:.3f} B/op')
    # The harness itself allocates some 300 KB a second, which slow operations would be charged with.
    per_second = r["primaryMetric"]["score"] if r["mode"] == "thrpt" else 1e9 / r["primaryMetric"]["score"]
    if garbage * per_second > 2 * per_second + 600_000:
        failed = True
        print(f"  GATE: {key} allocates {garbage:.1f} B for each operation", file=sys.stderr)
for key, one in score.items():
    if "read4kDepth1 " in key:
        ratio = score.get(key.replace("Depth1 ", "Depth32 "), one * 99) / one
        print(f"{key}: a batch of 32 is worth {ratio:.1f} single requests")
        if ratio < 3:
            failed = True
            print("  GATE: batches do not pay", file=sys.stderr)
sys.exit(failed)
P
