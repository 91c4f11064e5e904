"""Runs farsight and its peers in turn and compares them; started by peers.sh, which says how."""

import argparse
import csv
import glob
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SIZE = 512 << 20
TICK = os.sysconf("SC_CLK_TCK")
FARSIGHT = os.path.abspath("target/farsight/bin/farsight")

# storage, transport, client, direction, block size, depth, connections
ROWS = [
    ("memory", "unix", "fio", "read", 4096, 1, 1),
    ("memory", "unix", "fio", "write", 4096, 1, 1),
    ("memory", "unix", "fio", "read", 4096, 32, 1),
    ("memory", "unix", "fio", "write", 4096, 32, 1),
    ("memory", "unix", "fio", "read", 131072, 8, 1),
    ("memory", "unix", "fio", "write", 131072, 8, 1),
    ("memory", "unix", "fio", "read", 1 << 20, 8, 1),
    ("memory", "unix", "fio", "write", 1 << 20, 8, 1),
    ("memory", "unix", "hammer", "read", 4096, 1, 1),
    ("memory", "unix", "hammer", "read", 4096, 32, 1),
    ("memory", "unix", "hammer", "write", 4096, 32, 1),
    ("memory", "unix", "hammer", "read", 4096, 32, 4),
    ("memory", "unix", "hammer", "write", 4096, 32, 4),
    ("memory", "unix", "hammer", "read", 4096, 8, 64),
    ("memory", "unix", "hammer", "read", 131072, 8, 1),
    ("memory", "unix", "nbdcopy", "read", 262144, 64, 4),
    ("memory", "tcp", "fio", "read", 4096, 1, 1),
    ("memory", "tcp", "fio", "read", 4096, 32, 1),
    ("memory", "tcp", "hammer", "read", 4096, 32, 4),
    ("memory", "tcp", "fio", "read", 1 << 20, 8, 1),
    ("file", "unix", "fio", "read", 4096, 1, 1),
    ("file", "unix", "fio", "read", 4096, 32, 1),
    ("file", "unix", "fio", "write", 4096, 32, 1),
    ("file", "unix", "hammer", "read", 4096, 32, 4),
    ("file", "unix", "fio", "read", 131072, 8, 1),
    ("file", "unix", "fio", "write", 131072, 8, 1),
    ("file", "unix", "fio", "read", 1 << 20, 8, 1),
    ("file", "unix", "nbdcopy", "read", 262144, 64, 4),
]


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"peers: {what} did not start")
        time.sleep(0.02)


def answers(address):
    try:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(1)
            s.connect(address)
            return s.recv(8) == b"NBDMAGIC"
    except OSError:
        return False


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One process that serves one export on a unix socket and, when it can, a TCP port."""

    def __init__(self, name, storage, work, command, export="", unix=None, port=None, pid_file=None):
        self.name, self.storage, self.export, self.unix, self.port = name, storage, export, unix, port
        log = open(os.path.join(work, f"{name}-{storage}.log"), "w")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self.process.pid
        if pid_file:  # it goes to the background
            self.process.wait(10)
            wait_for(lambda: os.path.exists(pid_file) and os.path.getsize(pid_file), name)
            with open(pid_file) as f:
                self.pid = int(f.read())
        if unix:
            wait_for(lambda: answers(unix), name)
        if port:
            wait_for(lambda: answers(("127.0.0.1", port)), name)

    def uri(self, transport):
        if transport == "unix":
            return f"nbd+unix:///{self.export}?socket={self.unix}"
        return f"nbd://127.0.0.1:{self.port}/{self.export}"

    def plain(self, transport):
        where = f"unix:{self.unix}" if transport == "unix" else f"tcp:127.0.0.1:{self.port}"
        return f"{where}?{self.export}"

    def serves(self, transport):
        return (self.unix if transport == "unix" else self.port) is not None

    def cpu(self):
        """Seconds of processor time of the server, with its children that have ended."""
        total = 0
        for pid in [self.pid] + children(self.pid):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(int(fields[i]) for i in (11, 12, 13, 14))
        return total / TICK

    def resident(self):
        """KiB of its memory that are in RAM."""
        with open(f"/proc/{self.pid}/status") as f:
            found = re.search(r"VmRSS:\s+(\d+)", f.read())
        return int(found[1]) if found else 0  # it has ended

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


def start(contender, storage, work, image):
    base = os.path.join(work, f"{contender}-{storage}")
    unix, port = base + ".sock", free_port()
    kind, _, io = contender.partition("-")
    if kind == "farsight":
        what = f"disk=memory:{SIZE}" if storage == "memory" else None
        config = base + ".toml"
        with open(config, "w") as f:
            f.write(f'[server]\naddress = "127.0.0.1"\nport = {port}\nunix = "{unix}"\nmax_connections = 1024\n')
            f.write(f'io = "{io}"\n' if io else "")
            f.write("[exports.disk]\n")
            f.write(f'backend = "memory"\nsize = {SIZE}\n' if what else f'backend = "file"\npath = "{image}"\n')
            f.write("[memory]\n" if what else f'[file]\nroot = "{os.path.dirname(image)}"\n')
        return Server(contender, storage, work, [FARSIGHT, "server", config], "disk", unix, port)
    if kind == "ceiling":
        binary = os.path.join(work, "ceiling")
        both = [Server("ceiling", storage, work, [binary, f"unix:{unix}", str(SIZE)], "", unix, None)]
        return both[0]
    if kind == "nbdkit":
        plugin = ["memory", str(SIZE)] if storage == "memory" else ["file", image]
        # nbdkit listens on a unix socket or on TCP, not on both.
        return Server("nbdkit", storage, work, ["nbdkit", "-f", "-U", unix] + plugin, "", unix, None)
    if kind == "nbdkit_tcp":
        plugin = ["memory", str(SIZE)] if storage == "memory" else ["file", image]
        return Server("nbdkit", storage, work, ["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port)] + plugin, "", None, port)
    if kind == "ceiling_tcp":
        binary = os.path.join(work, "ceiling")
        return Server("ceiling", storage, work, [binary, f"tcp:{port}", str(SIZE)], "", None, port)
    if kind == "qemu":
        command = ["qemu-nbd", "-t", "--shared=1024", "-x", "disk", "-k", unix]
        if storage == "memory":
            # It has no storage in memory but one without data, which sends none either: a file in memory instead.
            memory = os.path.join("/dev/shm", os.path.basename(work) + ".img")
            with open(memory, "wb") as f:
                f.truncate(SIZE)
            command += ["-f", "raw", "--cache=writeback", memory]
        else:
            command += ["-f", "raw", "--cache=writeback", "--aio=io_uring", image]
        return Server("qemu-nbd", storage, work, command, "disk", unix, None)
    if kind == "nbdserver":
        config = base + ".conf"
        with open(config, "w") as f:
            f.write(f"[generic]\nunixsock = {unix}\n")
            f.write(f"[disk]\nexportname = {image}\nfilesize = {SIZE}\n")
        return Server("nbd-server", storage, work, ["nbd-server", "-C", config, "-p", base + ".pid"], "disk", unix, None, base + ".pid")
    raise ValueError(contender)


def client(server, row, seconds, work):
    """Runs one client; gives its figures and how many operations there were."""
    _, transport, kind, direction, block, depth, connections = row
    if kind == "hammer":
        done = subprocess.run(
            [os.path.join(work, "hammer"), server.plain(transport), direction, str(block), str(depth), str(connections), str(seconds)],
            capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        result = json.loads(done.stdout)
        return {"iops": result["iops"], "p50": result["p50"], "p999": result["p999"], "ops": result["ops"]}
    if kind == "fio":
        sequential = block >= 1 << 20
        out = os.path.join(work, "fio.json")
        done = subprocess.run(
            ["fio", "--name=t", "--ioengine=nbd", f"--uri={server.uri(transport)}", f"--rw={'' if sequential else 'rand'}{direction}",
             f"--bs={block}", f"--iodepth={depth}", f"--size={SIZE}", "--time_based", f"--runtime={seconds}",
             "--percentile_list=50:99:99.9", "--output-format=json", f"--output={out}"],
            capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        with open(out) as f:
            text = f.read()
        side = json.loads(text[text.index("{"):])["jobs"][0][direction]
        percentile = side["clat_ns"].get("percentile", {})
        return {"iops": side["iops"], "p50": percentile.get("50.000000", 0) / 1000,
                "p999": percentile.get("99.900000", 0) / 1000, "ops": side["total_ios"]}
    begin = time.monotonic()
    subprocess.run(["nbdcopy", f"--connections={connections}", f"--requests={depth}", server.uri(transport), "null:"],
                   check=True, capture_output=True, timeout=60)
    operations = SIZE / block
    return {"iops": operations / (time.monotonic() - begin), "p50": 0, "p999": 0, "ops": operations}


def fill(server, transport, work):
    """Real data everywhere: no storage shall answer from holes."""
    subprocess.run(["fio", "--name=f", "--ioengine=nbd", f"--uri={server.uri(transport)}", "--rw=write", "--bs=1m",
                    f"--size={SIZE}", f"--output={os.path.join(work, 'fill')}"], check=True, capture_output=True, timeout=120)


def title(row):
    storage, transport, kind, direction, block, depth, connections = row
    size = f"{block >> 20}M" if block >= 1 << 20 else f"{block >> 10}k"
    many = f" x {connections}" if connections > 1 else ""
    return f"{storage}, {transport}: {size} {direction}, depth {depth}{many}, {kind}"


def chart(results, path):
    """Bars of farsight's throughput as a ratio to each peer's, one group for each row."""
    peers = [("nbdkit", "#d08770"), ("qemu-nbd", "#b48ead"), ("nbd-server", "#8fbcbb")]
    rows = [r for r in results if "farsight" in r["median"]]
    bar, gap, left, width = 9, 10, 330, 900
    height = 60 + sum(gap + bar * sum(p in r["median"] for p, _ in peers) for r in rows)
    most = max([min(8, r["median"]["farsight"] / r["median"][p]) for r in rows for p, _ in peers if p in r["median"]] + [2])
    scale = (width - left - 60) / most
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="16" font-weight="bold">farsight, times the throughput of</text>']
    x = left + 210
    for name, colour in peers:
        out.append(f'<rect x="{x}" y="8" width="9" height="9" fill="{colour}"/><text x="{x + 13}" y="16">{name}</text>')
        x += 85
    y = 34
    for r in rows:
        names = [(p, c) for p, c in peers if p in r["median"]]
        out.append(f'<text x="{left - 8}" y="{y + bar * len(names) / 2 + 4}" text-anchor="end">{r["title"]}</text>')
        for p, colour in names:
            ratio = r["median"]["farsight"] / r["median"][p]
            out.append(f'<rect x="{left}" y="{y}" width="{min(8, ratio) * scale:.1f}" height="{bar - 1}" fill="{colour}"/>'
                       f'<text x="{left + min(8, ratio) * scale + 4:.1f}" y="{y + bar - 1}" font-size="9">{ratio:.2f}</text>')
            y += bar
        y += gap
    out.append(f'<line x1="{left + scale}" y1="26" x2="{left + scale}" y2="{y}" stroke="#444" stroke-dasharray="3 3"/></svg>')
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="peers.sh")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rows", default="", help="regular expression on the titles of rows")
    parser.add_argument("--out", default="target/peers")
    parser.add_argument("--io", default="", help="also farsight with these loops: uring,epoll")
    options = parser.parse_args()
    rows = [r for r in ROWS if re.search(options.rows, title(r))]
    os.makedirs(options.out, exist_ok=True)
    variants = [f"farsight-{io}" for io in options.io.split(",") if io and io != "auto"]
    results = []
    with tempfile.TemporaryDirectory(prefix="farsight-peers.") as work:
        for source in ("hammer", "ceiling"):
            subprocess.run(["cc", "-O2", "-pthread", "-o", os.path.join(work, source), f"benchmarks/{source}.c"], check=True)
        for storage, transport in dict.fromkeys((r[0], r[1]) for r in rows):
            results += group(storage, transport, [r for r in rows if r[:2] == (storage, transport)], variants, options, work)
    write(results, options)


def group(storage, transport, rows, variants, options, work):
    suffix = "_tcp" if transport == "tcp" else ""
    contenders = ["farsight"] + variants + ["nbdkit" + suffix]
    contenders += ["qemu"] if transport == "unix" else []
    contenders += ["ceiling" + suffix] if storage == "memory" else ["nbdserver"]
    servers, results = [], []
    try:
        for c in contenders:
            image = os.path.join(work, "disk.img")  # the same for all, as a file's place in the cache makes a difference
            if storage == "file" and not os.path.exists(image):
                with open(image, "wb") as f:
                    f.truncate(SIZE)
            server = start(c, storage, work, image)
            servers.append(server)
            if server.name != "ceiling":
                fill(server, transport, work)
        for row in rows:
            runs = {s.name: [] for s in servers}
            for turn in range(options.rounds + 1):
                for s in servers[turn % len(servers):] + servers[:turn % len(servers)]:
                    before = s.cpu()
                    try:
                        figures = client(s, row, options.seconds if turn else 1, work)
                    except (RuntimeError, subprocess.SubprocessError) as e:
                        print(f"  {s.name}: {e}", file=sys.stderr)
                        continue
                    figures["cpu"] = (s.cpu() - before) * 1e6 / max(1, figures["ops"])
                    if turn:  # the first turn warms up
                        runs[s.name].append(figures)
            result = {"row": row, "title": title(row), "runs": runs, "median": {}, "cpu": {}, "p999": {}, "spread": {}}
            for name, all_runs in runs.items():
                if all_runs:
                    iops = [r["iops"] for r in all_runs]
                    result["median"][name] = statistics.median(iops)
                    result["spread"][name] = (max(iops) - min(iops)) / statistics.median(iops)
                    result["cpu"][name] = statistics.median(r["cpu"] for r in all_runs)
                    result["p999"][name] = statistics.median(r["p999"] for r in all_runs)
            results.append(result)
            print(result["title"] + ": " + ", ".join(
                f"{n} {v:.0f} ({result['cpu'][n]:.2f} us)" for n, v in result["median"].items()), flush=True)
    finally:
        for s in servers:
            s.stop()
        for left in glob.glob(os.path.join("/dev/shm", os.path.basename(work) + "*")):
            os.remove(left)
    return results


def write(results, options):
    names = list(dict.fromkeys(n for r in results for n in r["median"]))
    with open(os.path.join(options.out, "peers.csv"), "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["row", "server", "round", "iops", "p50_us", "p999_us", "cpu_us_per_op"])
        for r in results:
            for name, runs in r["runs"].items():
                for i, run in enumerate(runs):
                    out.writerow([r["title"], name, i + 1, round(run["iops"]), round(run["p50"], 1), round(run["p999"], 1), round(run["cpu"], 2)])
    with open(os.path.join(options.out, "peers.md"), "w") as f:
        others = [n for n in names if not n.startswith("farsight")]
        f.write("| IOPS | " + " | ".join(names) + " | " + " | ".join("to " + n for n in others) + " | CPU to nbdkit | CPU to qemu-nbd | p99.9 to nbdkit |\n")
        f.write("|---" * (1 + len(names) + len(others) + 3) + "|\n")

        def ratio(a, b):
            return f"{a / b:.2f}" if a and b else ""

        for r in results:
            m, c, p = r["median"], r["cpu"], r["p999"]
            cells = [f"{m[n]:.0f} ±{r['spread'][n] * 50:.0f}%" if n in m else "" for n in names]
            cells += [ratio(m.get("farsight"), m.get(n)) for n in others]
            cells += [ratio(c.get("farsight"), c.get("nbdkit")), ratio(c.get("farsight"), c.get("qemu-nbd")),
                      ratio(p.get("farsight"), p.get("nbdkit"))]
            f.write(f"| {r['title']} | " + " | ".join(cells) + " |\n")
    chart(results, os.path.join(options.out, "peers.svg"))
    print(f"{options.out}/peers.md, peers.csv, peers.svg")


if __name__ == "__main__":
    main()
