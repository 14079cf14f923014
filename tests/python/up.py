"""`daybook up` as a process, and how the scripts check it. Standard library only."""

import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Long enough for a machine that does much else: nothing waits longer than it must.
PATIENCE = 60.0

NAMESPACE = uuid.UUID("6e1f0c7a-8d5b-5a52-9d55-2b6cf0a311e4")


def daybook():
    """The `daybook` that tests/binary.sh names. Some scripts run none and set none."""
    return pathlib.Path(os.environ["DAYBOOK_BINARY"])


def check(holds, what, *details):
    """Ends the script with a message unless it holds."""
    if not holds:
        shown = "".join(f"\n  {detail!r}" for detail in details)
        sys.exit(f"FAILED: {what}{shown}")


def equal(found, expected, what):
    check(found == expected, f"{what}: found, then expected", found, expected)


def until(what, condition, patience=PATIENCE, every=0.02):
    """Polls until the condition gives something, which is returned."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(every)
    sys.exit(f"FAILED: waited {patience:.0f} s for: {what}")


def identity(domain, source, bucket, key, version_id, kind, *basis):
    """The ids of events and objects by their definition, in another language than Daybook's: a version 5 UUID of all
    fields, each with its length before it."""
    name = b""
    for field in (domain, source, bucket, key, version_id, kind, *basis):
        if field is None:
            name += b"\0"
        else:
            data = field.encode()
            name += b"\1" + len(data).to_bytes(8, "big") + data
    return uuid.UUID(bytes=hashlib.sha1(NAMESPACE.bytes + name).digest()[:16], version=5)


def event_id(source, bucket, key, version_id, kind, sequencer, etag):
    """The id of an event that came with a sequencer and with an etag, written without quotes."""
    return identity("event", source, bucket, key, version_id, kind, "sequencer", sequencer, etag)


def object_id(source, bucket, key, version_id, kind):
    return identity("object", source, bucket, key, version_id, kind)


class Up:
    """A running `daybook up`, on a port of its own unless told otherwise. Use it as a context: the process never outlives it."""

    def __init__(self, folder, *arguments, target=(), binary=None, listen="127.0.0.1:0"):
        self.folder = pathlib.Path(folder)
        inherited = {name: value for name, value in os.environ.items() if not re.match("DAYBOOK_|AWS_|RUST_LOG", name)}
        command = [binary or daybook(), "up", "--data-dir", self.folder / "data", "--listen", listen, "--output", "json"]
        self.log = tempfile.NamedTemporaryFile(dir=folder, prefix="up.", suffix=".log", delete=False)
        self.out = tempfile.TemporaryFile(dir=folder)
        self.process = subprocess.Popen(
            [*command, *arguments, *target], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.log, env=inherited
        )
        try:
            self.url = until("the line that says where it listens", self._listening)
        except BaseException:
            self.kill()
            raise
        self.host = urllib.parse.urlsplit(self.url).netloc

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def said(self):
        return pathlib.Path(self.log.name).read_text()

    def _listening(self):
        check(self.process.poll() is None, "daybook up ended at its start", self.said())
        found = re.search(r"^daybook up: listening on (http://\S+)$", self.said(), re.MULTILINE)
        # Its last line: what else it says at its start is there.
        return found and "drains." in self.said() and found.group(1)

    def post(self, body, path="/events", method="POST", expect=200, **headers):
        """One request on a connection of its own; the answer's JSON."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        try:
            if not isinstance(body, (bytes, str, type(None))):
                body = json.dumps(body)
            body = body.encode() if isinstance(body, str) else body
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        equal(response.status, expect, f"the status of {method} {path}, which said {text}")
        return json.loads(text) if text else None

    def stop(self):
        """SIGTERM; what it printed, line by line, and the summary at its end."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        equal(code, 0, f"the exit code after SIGTERM, with {self.said()!r} on stderr")
        self.out.seek(0)
        *lines, summary = [json.loads(line) for line in self.out.read().decode().splitlines()]
        return lines, summary

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.out.close()

