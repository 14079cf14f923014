"""Daybook beside task queues that keep what they are given as safely: the same S3 notifications, the same HTTP target, the same number of
workers, in turn. Started by tests/peers: EVENTS ROUNDS SYSTEM..., with what was installed in the environment. Prints a table.

Everything listens on 127.0.0.1, writes below one temporary folder, and ends with this program. Standard library only."""

import contextlib
import functools
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from real_servers import Server, free_port
from up import ROOT, check, equal, until

CONCURRENCY = 32

# Longer than any case takes that works.
PATIENCE = 180.0

HERE = ROOT / "tests/peers.d"

# Events per request, and how many connections send them.
FEEDS = {1: 64, 100: 8}


class Stage(Server):
    """The processes of one system, all of which are counted."""

    def __init__(self, folder, target):
        super().__init__(folder)
        self.env = {name: value for name, value in os.environ.items() if not re.match("DAYBOOK_|AWS_|RUST_LOG|PG|NODE_ENV", name)}
        self.env |= {"TARGET": target, "PORT": str(self.port), "CONCURRENCY": str(CONCURRENCY)}

    def said(self, name):
        return (self.folder / f"{name}.out").read_text(errors="replace")

    def wait_for(self, name, words):
        process = dict(self.processes)[name]

        def is_said():
            check(process.poll() is None, f"{name} ended at its start", self.said(name)[-2000:])
            return words in self.said(name)

        until(f"{name} to say {words!r}", is_said, PATIENCE)

    def open(self):
        """How many events are not done."""
        return request(self.port, "GET", "/open")["open"]

    def used(self):
        """Processor time in seconds, bytes passed to write calls, and bytes written as the kernel counts them, of every process and of
        those that it had and that ended."""
        seconds = passed = written = 0
        for pid in tree([process.pid for _, process in self.processes]):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                folder = pathlib.Path("/proc", str(pid))
                # utime, stime, cutime, cstime (proc(5)).
                ticks = folder.joinpath("stat").read_text().rpartition(") ")[2].split()[11:15]
                seconds += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
                io = dict(re.findall(r"(\w+): (\d+)", folder.joinpath("io").read_text()))
                passed += int(io["wchar"])
                written += int(io["write_bytes"])
        return seconds, passed, written


class Daybook(Stage):
    """`daybook up`, with all as by default but the number of workers and the limit per window."""

    def start(self):
        listen = f"127.0.0.1:{self.port}"
        flags = ("--workers", str(CONCURRENCY), "--per-window", "1000000", "--data-dir", str(self.folder / "data"))
        command = (os.environ["DAYBOOK_BINARY"], "up", "--listen", listen, *flags, "--post", self.env["TARGET"])
        # Its output is a line per event, which nobody reads here.
        self.spawn("daybook", "sh", "-c", 'exec "$@" > /dev/null', "sh", *command, env=self.env)
        self.wait_for("daybook", "drains.")

    def open(self):
        # The control item, and the rows.
        two = {"TableName": "daybook-ledger", "Limit": 2, "ProjectionExpression": "id"}
        return request(self.port, "POST", "/", two, {"X-Amz-Target": "DynamoDB_20120810.Scan"})["Count"] - 1

    @staticmethod
    def version():
        return said_by(os.environ["DAYBOOK_BINARY"], "--version")


class Node(Stage):
    """A library for Node: one process takes events in, another one works."""

    def start_node(self, package):
        for role in ("intake", "work"):
            self.spawn(role, os.environ["PEERS_NODE"], HERE / "main.cjs", role, package, env=self.env)
            self.wait_for(role, "ready")

    @staticmethod
    def version_of(package):
        return json.loads(pathlib.Path(os.environ["NODE_PATH"], package, "package.json").read_text())["version"]


class Postgres(Node):
    """On Postgres, as it is by default: `fsync` and `synchronous_commit` are on, which is checked."""

    def start(self):
        binaries, port, data = pathlib.Path(os.environ["PEERS_POSTGRES"]), free_port(), self.folder / "postgres"
        data.mkdir()
        # It refuses to run as root.
        how, env = {}, libraries(binaries) | {"LC_ALL": "C"}
        if os.geteuid() == 0:
            user = unprivileged()
            shutil.chown(data, user.pw_uid, user.pw_gid)
            how = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        init = (binaries / "initdb", "--pgdata", data, "--auth", "trust", "--username", "peers", "--encoding", "UTF8", "--no-sync")
        done = subprocess.run(init, env=env, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE, **how)
        check(done.returncode == 0, "initdb", done.stderr)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 120,
            "fsync": "on",
            "synchronous_commit": "on",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.spawn("postgres", binaries / "postgres", "-D", data, *flags, env=env, **how)
        self.wait_for("postgres", "ready to accept connections")
        self.env["POSTGRES"] = f"postgres://peers@127.0.0.1:{port}/postgres"
        self.start_node(self.PACKAGE)

    @classmethod
    def version(cls):
        postgres = said_by(pathlib.Path(os.environ["PEERS_POSTGRES"], "postgres"), "--version", env=libraries(os.environ["PEERS_POSTGRES"]))
        return f"{cls.PACKAGE} {cls.version_of(cls.PACKAGE)}, PostgreSQL {postgres.split()[2]}"


class GraphileWorker(Postgres):
    PACKAGE = "graphile-worker"


class PgBoss(Postgres):
    PACKAGE = "pg-boss"


class BullMQ(Node):
    """On Redis, with its log flushed before each answer."""

    def start(self):
        redis, port = pathlib.Path(os.environ["PEERS_REDIS"]), free_port()
        (self.folder / "redis").mkdir()
        settings = {"bind": "127.0.0.1", "port": port, "appendonly": "yes", "appendfsync": "always", "save": "", "dir": self.folder / "redis"}
        flags = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        self.spawn("redis", redis, *flags, env=libraries(redis.parent))
        self.wait_for("redis", "Ready to accept connections")
        self.env["REDIS"] = str(port)
        self.start_node("bullmq")

    @classmethod
    def version(cls):
        redis = pathlib.Path(os.environ["PEERS_REDIS"])
        found = re.search(r"v=(\S+)", said_by(redis, "--version", env=libraries(redis.parent))).group(1)
        return f"BullMQ {cls.version_of('bullmq')}, Redis {found}"


class Huey(Stage):
    """On SQLite with `synchronous=FULL`; threads."""

    def start(self):
        python = pathlib.Path(os.environ["PEERS_HUEY"])
        env = self.env | {"SQLITE": str(self.folder / "huey.sqlite"), "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        self.spawn("intake", python, HERE / "huey_intake.py", env=env)
        self.wait_for("intake", "ready")
        consumer = ("-w", str(CONCURRENCY), "-k", "thread", "--delay", "0.01", "--max-delay", "0.1", "--no-periodic")
        self.spawn("work", python, python.with_name("huey_consumer"), "huey_events.huey", *consumer, env=env | {"PYTHONUNBUFFERED": "1"})
        self.wait_for("work", "Huey consumer started")

    @staticmethod
    def version():
        code = "import importlib.metadata as m, sqlite3; print('huey', m.version('huey') + ', SQLite', sqlite3.sqlite_version)"
        return said_by(os.environ["PEERS_HUEY"], "-c", code)


SYSTEMS = {"daybook": Daybook, "graphile-worker": GraphileWorker, "pg-boss": PgBoss, "bullmq": BullMQ, "huey": Huey}


def request(port, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body and json.dumps(body), dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    equal(response.status, 200, f"the status of {method} {path}, which said {text}")
    return json.loads(text)


def said_by(*command, env=None):
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return done.stdout.strip()


@functools.cache
def unprivileged():
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    sys.exit("FAILED: no user to run Postgres as")


def libraries(binaries):
    """The environment with the libraries that lie beside these binaries, where they were unpacked from packages."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    root = os.environ.get("PEERS_UNPACKED", "")
    if not root or not pathlib.Path(binaries).is_relative_to(root):
        return inherited
    root = pathlib.Path(root, pathlib.Path(binaries).relative_to(root).parts[0], "root")
    paths = [path for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu") for path in root.glob(pattern)]
    return inherited | {"LD_LIBRARY_PATH": ":".join(map(str, paths))}


def tree(roots):
    """These processes and all below them."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parent = int(stat.read_text().rpartition(") ")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = list(roots)
    for pid in found:
        found += children.get(pid, [])
    return found


class Target:
    """The server that answers at once; its processor time is nobody's."""

    def __enter__(self):
        self.process = subprocess.Popen([os.environ["PEERS_LOAD"], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)

    def posts(self):
        return request(int(self.url.rstrip("/").rpartition(":")[2]), "GET", "/")


def post(stage, first, events, per_request):
    """Posts events; when that began, and how long it took until all were acknowledged."""
    words = (f"127.0.0.1:{stage.port}", str(first), str(events), str(per_request), str(FEEDS[per_request]))
    return map(float, said_by(os.environ["PEERS_LOAD"], "post", *words).split())


def wait_until_done(stage, target, posts):
    until(f"{posts} calls of the target", lambda: target.posts() >= posts, PATIENCE, 0.01)
    until("the last event's end", lambda: stage.open() == 0, PATIENCE, 0.01)


def measure(system, events, per_request):
    """One run: taken and done per second; per event, processor time in microseconds, KB passed to write calls, and KB written."""
    warm_up = max(events // 10, per_request)
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder, Target() as target:
        # Postgres runs as another user.
        os.chmod(folder, 0o755)
        with SYSTEMS[system](folder, target.url) as stage:
            post(stage, 0, warm_up, per_request)
            wait_until_done(stage, target, warm_up)
            before = stage.used()
            began, taken = post(stage, warm_up, events, per_request)
            wait_until_done(stage, target, warm_up + events)
            done = time.time() - began
            equal(target.posts(), warm_up + events, f"calls of the target by {system}")
            seconds, passed, written = (then - now for now, then in zip(before, stage.used()))
    return events / taken, events / done, seconds * 1e6 / events, passed / 1024 / events, written / 1024 / events


def flush_time():
    """How long a write of 4 KB and its flush take, in milliseconds."""
    times = []
    with tempfile.TemporaryFile(dir=ROOT / "target") as file:
        for _ in range(200):
            began = time.monotonic()
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - began)
    return statistics.median(times) * 1e3


def run_all(events, rounds, systems):
    """The figures of every run that worked, by events per request and system. A system that fails is left out from then on."""
    measured, failed = {}, set()
    for number in range(1, rounds + 1):
        for per_request in FEEDS:
            for system in systems:
                if system in failed:
                    continue
                label = f"round {number}, {per_request} per request, {system}"
                try:
                    figures = measure(system, events, per_request)
                except (SystemExit, OSError, subprocess.SubprocessError) as error:
                    print(f"{label}: {error}", file=sys.stderr)
                    failed.add(system)
                    continue
                measured.setdefault((per_request, system), []).append(figures)
                shown = "taken/s {:.0f}, done/s {:.0f}, CPU {:.0f} µs, passed {:.1f} KB, written {:.0f} KB".format(*figures)
                print(f"{label}: {shown}", file=sys.stderr)
    return measured, failed


def main():
    # An end by a signal ends what was started as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    events, rounds, systems = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for system in systems:
        print(f"{system}: {SYSTEMS[system].version()}", file=sys.stderr)
    print(f"a write of 4 KB and its fdatasync: {flush_time():.2f} ms (median of 200)", file=sys.stderr)
    measured, failed = run_all(events, rounds, systems)
    print(f"{events:,} events, median of {rounds}\n")
    print("| events per request | | taken/s | done/s | done/s ÷ Daybook's | CPU | passed to write | written |")
    print("|---|---|---|---|---|---|---|---|")
    for (per_request, system), runs in measured.items():
        taken, done, processor, passed, written = map(statistics.median, zip(*runs))
        ours = measured.get((per_request, "daybook"))
        ratio = f"{done / statistics.median(run[1] for run in ours):.2f}" if ours else ""
        figures = f"{taken:,.0f} | {done:,.0f} | {ratio} | {processor:,.0f} µs | {passed:,.1f} KB | {written:,.0f} KB"
        print(f"| {per_request} | {system} | {figures} |")
    if failed:
        sys.exit(f"FAILED: {', '.join(sorted(failed))}")


if __name__ == "__main__":
    main()
