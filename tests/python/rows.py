"""Fills folders with open rows, and measures what looking at them costs. tests/rows runs it.

Two ways to look: beside a `daybook up` that has the folder, which is paused, and with the folder to itself. Beside it, the memory of `up`
counts as well: the most that it had while the verb ran.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

DAYBOOK = os.environ["DAYBOOK_BINARY"]
# Rows of one notification.
RECORDS = 500
PARKED = 50
KINDS = [
    "No space left on device: /var/spool/{n}",
    'column "amount" of {key} is not a number',
    "tenant {n} is not known",
]
PATIENCE = 3600


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAYBOOK_")}
    if "DAYBOOK_RECEIPTS_KEEP" in os.environ:
        kept["DAYBOOK_RECEIPTS_KEEP"] = os.environ["DAYBOOK_RECEIPTS_KEEP"]
    return kept | {"DAYBOOK_CONSOLE": "off", "DAYBOOK_LISTEN": "127.0.0.1:0", "NO_COLOR": "1"}


def key_of(n):
    return f"in/{n // 1000:05}/photo-{n:07}.jpg"


def record(n):
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T10:15:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "data"},
            "object": {"key": key_of(n), "size": 1048576, "eTag": f"{n:032x}", "sequencer": f"{n:016X}"},
        },
    }


def notification(begin, end):
    return json.dumps({"Records": [record(n) for n in range(begin, end)]}).encode()


def notifications(begin, end):
    for first in range(begin, end, RECORDS):
        yield notification(first, min(first + RECORDS, end))


# The target: answers every request at once, with an error or with success.


async def serve(fails):
    async def connection(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
                body = await reader.readexactly(length)
                status, text = "200 OK", ""
                if fails:
                    key = json.loads(body)["key"]
                    n = int(key[-11:-4])
                    status, text = "500 Internal Server Error", KINDS[n % 3].format(n=n, key=key)
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Target:
    def __init__(self, fails):
        # A process of its own, so that this one stays small: what it ever had counts as the memory of those that it starts.
        command = [sys.executable, "-B", __file__, "--target", "fails" if fails else "takes"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Up:
    """A `daybook up`, from its start until it is drained."""

    def __init__(self, folder, *options, console="off"):
        begin = time.monotonic()
        self.log = tempfile.TemporaryFile()
        command = [DAYBOOK, "up", "--data-dir", folder, "--max-attempts", "1", *options]
        there = environment() | {"DAYBOOK_CONSOLE": console}
        self.process = subprocess.Popen(command, env=there, stdout=subprocess.DEVNULL, stderr=self.log)
        self.url = None
        while self.url is None or not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > begin + PATIENCE:
                sys.exit(f"`daybook up` did not start: {self.said()}")
            found = re.search(r"listening on (http://\S+)", self.said())
            self.url = found and found.group(1)
            time.sleep(0.002)
        self.start_seconds = time.monotonic() - begin

    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    def is_healthy(self):
        try:
            return urllib.request.urlopen(self.url + "/health").status == 200
        except OSError:
            return False

    def post(self, body):
        answer = urllib.request.urlopen(urllib.request.Request(self.url + "/events", body, method="POST"))
        assert json.load(answer)["recorded"] > 0

    def memory(self, what):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(rf"{what}:\s*(\d+) kB", status.read()).group(1)) * 1024

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as refs:
            refs.write("5")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


def run(folder, *arguments, tries=1):
    """Seconds, seconds of processor time, the most memory, and stdout of a verb, which must succeed; on a busy machine perhaps not at once."""
    verb = [DAYBOOK, *arguments, "--local", folder]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        process = subprocess.Popen(verb, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        took = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        # `doctor` finds a problem where no `up` runs.
        if process.returncode != 0 and tries > 1:
            return run(folder, *arguments, tries=tries - 1)
        if process.returncode != 0 and arguments[0] != "doctor":
            sys.exit(f"{verb}: exit code {process.returncode}: {err.read().decode()}")
        return took, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, out.read().decode()


def report(folder, *arguments):
    return json.loads(run(folder, *arguments, "--output", "json")[3])


def counts(folder, *how):
    found = report(folder, "status", *how)
    return {status: found[status]["rows"] for status in ("pending", "claimed", "parked")}


def wait_for(folder, what, is_so):
    """Whether there are none is known without counting all."""
    end = time.monotonic() + PATIENCE
    while not is_so(counts(folder)):
        if time.monotonic() > end:
            sys.exit(f"not in time: {what}")
        # Often asked, a large ledger does little else.
        time.sleep(5)


def size(folder):
    """What the folder takes on the disk."""
    files = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]
    return sum(os.stat(file).st_blocks * 512 for file in files)


def megabytes(size):
    return f"{size / 1e6:,.0f} MB"


class Cells(dict):
    """The cells of a column; each is printed to stderr as soon as it is known, for a million rows take long."""

    def __setitem__(self, name, cell):
        super().__setitem__(name, cell)
        print(f"{name}: {cell}", file=sys.stderr)


def fill(folder, rows):
    """So many open rows, one in fifty of them parked."""
    parked = rows // PARKED
    fast = ["--per-window", "100000", "--workers", "16"]
    with Target(fails=True) as target, Up(folder, *fast, "--post", target.url) as up:
        for body in notifications(0, parked):
            up.post(body)
        wait_for(folder, "all are parked", lambda found: found["pending"] + found["claimed"] == 0)
    with tempfile.NamedTemporaryFile() as file:
        for body in notifications(parked, rows):
            file.write(body + b"\n")
        file.flush()
        took = run(folder, "ingest", file.name, tries=5)[0]
    print(f"{rows - parked:,} recorded by `daybook ingest` in {took:.1f} s", file=sys.stderr)
    found = counts(folder, "--exact")
    assert (found["pending"], found["parked"]) == (rows - parked, parked), found


def looks(folder, rows):
    """The verbs that look, by what they are called in the table."""
    one = report(folder, "list", "--status", "pending", "--limit", "1")["rows"][0]["id"]
    key = f"s3://data/{key_of(rows - rows // 3)}"
    return {
        "`status`": ["status"],
        "`status --exact`": ["status", "--exact"],
        "`list --limit 50`": ["list", "--limit", "50"],
        "`list --prefix`, of 1,000 objects": ["list", "--prefix", f"in/{rows // 2000:05}/"],
        "`list --error`, a third of what is parked": ["list", "--error", "is not known"],
        "`why`, one key": ["why", key, "--no-s3"],
        "`show`, one key": ["show", key],
        "`show`, one id": ["show", one],
        "`errors`": ["errors"],
        "`redrive -n --all`": ["redrive", "-n", "--all"],
        "`redrive -n --error`, a third of what is parked": ["redrive", "-n", "--error", "is not known"],
        "`doctor`": ["doctor"],
    }


def fetch(url):
    with urllib.request.urlopen(url) as page:
        return page.read()


def pages(folder, rows):
    """What each page of the console of `up` takes until it is there, and until its answer is: the first time, and a few seconds later."""
    key = urllib.parse.quote(f"s3://data/{key_of(rows - rows // 3)}")
    paths = {
        "Now": "/",
        "Rows": "/rows",
        "Rows of a prefix, of 1,000 objects": f"/rows?prefix=in/{rows // 2000:05}/",
        "Rows with an error, a third of what is parked": "/rows?status=parked&error=is+not+known",
        "Object": f"/object?q={key}",
        "Errors": "/errors",
        "Audit": "/audit",
        "`GET /metrics`": "/metrics",
    }
    cells = {}
    with Up(folder, "--exec", "true", console="127.0.0.1:0") as up:
        while not (found := re.search(r"console  (http://\S+)", up.said())):
            time.sleep(0.01)
        url = found.group(1)
        for name, path in paths.items():
            up.forget_peak()
            took = []
            for again in range(2):
                # The answer of a slow look is kept for five seconds.
                time.sleep(6 * again)
                begin = time.monotonic()
                body = fetch(url + path)
                words = f"{(time.monotonic() - begin) * 1000:,.0f} ms"
                while look := re.search(rb'data-look="([^"]+)"', body):
                    fetch(url + look.group(1).decode())
                    body = fetch(url + path)
                    answered = f"{(time.monotonic() - begin) * 1000:,.0f} ms"
                    words = f"{words.split(' (')[0]} (its answer {answered})"
                took.append(words)
                length = len(body)
            memory = megabytes(up.memory("VmHWM"))
            cells[f"page {name}"] = f"{took[0]}; then {took[1]}; {length / 1000:,.0f} kB (`up` {memory})"
    return cells


def measure(rows):
    """The cells of one column, by the names of their rows."""
    home = tempfile.mkdtemp(prefix="daybook-rows-")
    folder = os.path.join(home, "data")
    cells = Cells()
    try:
        fill(folder, rows)
        cells["size on disk, all open"] = megabytes(size(folder))
        run(folder, "pause", "--why", "rows are counted")
        verbs = looks(folder, rows)
        for name, verb in verbs.items():
            took, cpu, memory, _ = run(folder, *verb)
            cells[f"{name}; alone"] = f"{took:.2f} s, {megabytes(memory)}"
        with Up(folder, "--exec", "true") as up:
            cells["`up`, from its start until it is healthy"] = f"{up.start_seconds:.2f} s, {megabytes(up.memory('VmHWM'))}"
            time.sleep(2)
            cells["`up`, while nothing happens"] = megabytes(up.memory("VmRSS"))
            for name, verb in verbs.items():
                up.forget_peak()
                took, cpu, memory, _ = run(folder, *verb)
                cells[name] = f"{took:.2f} s, {megabytes(memory)} (`up` {megabytes(up.memory('VmHWM'))})"
        for name, cell in pages(folder, rows).items():
            cells[name] = cell
        finish(folder, cells)
    finally:
        shutil.rmtree(home)
    return cells


def finish(folder, cells):
    """Does the rows, and removes those that are parked; what is left on the disk."""
    options = ["--per-window", "100000", "--batch-size", "100", "--workers", "4"]
    with Target(fails=False) as target, Up(folder, *options, "--post", target.url):
        begin = time.monotonic()
        run(folder, "resume")
        wait_for(folder, "all are done", lambda found: found["pending"] + found["claimed"] == 0)
        cells["`up` does them, 100 per request"] = f"{time.monotonic() - begin:.0f} s"
        took = run(folder, "remove", "--status", "parked", "--yes", "--why", "they were counted")[0]
        cells["`remove` of what is parked"] = f"{took:.1f} s"
        cells["size on disk, none open"] = megabytes(size(folder))
        time.sleep(60)
        cells["the same a minute later"] = megabytes(size(folder))
    cells["the same after `up` has ended"] = megabytes(size(folder))


def main(arguments):
    if arguments[:1] == ["--target"]:
        return asyncio.run(serve(arguments[1] == "fails"))
    many = [int(rows) for rows in arguments] or [1_000, 100_000, 1_000_000]
    columns = [measure(rows) for rows in many]
    print("| | " + " | ".join(f"{rows:,}" for rows in many) + " |")
    print("|---|" + "--:|" * len(many))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
