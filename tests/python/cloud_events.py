"""CloudEvents of the SDK in HTTP's three modes, and a spike. Started by tests/cloudevents."""

import collections
import hashlib
import http.client
import importlib.metadata
import json
import pathlib
import re
import sys
import tempfile
import threading
import time
import types
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from up import NAMESPACE, Up, check, equal, until

SPIKE = int(sys.argv[1])
PER_REQUEST = max(SPIKE // 100, 1)
BACKLOG = str(SPIKE // 20)


class Target(ThreadingHTTPServer):
    """Takes events, one or a batch in a request, and remembers them. Until `open` is set it takes a tenth of what was sent."""

    daemon_threads = True

    def __init__(self):
        self.sent = 0
        self.open = threading.Event()
        self.inputs = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.arguments = ("--post", f"http://127.0.0.1:{self.server_address[1]}/")

    def ids(self):
        with self.lock:
            return collections.Counter(event["cloud_event"]["id"] for event in self.inputs)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        events = body.get("events", [body])
        while not self.server.open.wait(0.01):
            if (len(self.server.inputs) + len(events)) * 10 <= self.server.sent:
                break
        with self.server.lock:
            self.server.inputs.extend(events)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def examples_of_the_sdk(post):
    """Runs the examples of the SDK's own README that send an event, with `post` in the place of `requests.post`."""
    readme = pathlib.Path(importlib.metadata.distribution("cloudevents").locate_file("README.md")).read_text()
    blocks = [block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "requests.post(" in block]
    check(len(blocks) >= 2, "the README of the SDK has examples that send events", blocks)
    before = sys.modules.get("requests")
    sys.modules["requests"] = types.SimpleNamespace(post=post)
    try:
        for block in blocks:
            exec(compile(block, "README.md of cloudevents", "exec"), {})
    finally:
        sys.modules.pop("requests")
        if before:
            sys.modules["requests"] = before


def own_events():
    """What is hostile, or rare, in the SDK's own form."""
    common = {"source": "https://예.example/웹?a=1 %20", "type": "com.example.page-view"}
    yield CloudEvent({**common, "id": "1 %41 \"quoted\" \\ 🚀", "subject": "user/도시 %2F", "partitionkey": "user-42"}, {"페이지": 1.5})
    yield CloudEvent({**common, "id": "2", "datacontenttype": "text/plain"}, "plain\ntext")
    yield CloudEvent({**common, "id": "3", "datacontenttype": "application/octet-stream"}, b"\x00\xff\xfe")
    yield CloudEvent({**common, "id": "4"}, None)


def all_modes(folder):
    target = Target()
    with Up(folder, target=target.arguments) as up:
        sent = []

        def post(_url, data, headers):
            body = data if isinstance(data, bytes) else data.encode()
            sent.append(up.post(body, **headers))

        examples_of_the_sdk(post)
        first = len(sent)
        check(all(answer["recorded"] == 1 for answer in sent), "each example of the SDK is an event", sent)
        events = list(own_events())
        for event in events:
            message = to_binary_event(event)
            equal(up.post(message.body, **message.headers)["recorded"], 1, "binary mode")
        structured = []
        for event in events:
            message = to_structured_event(event)
            body = message.body if isinstance(message.body, bytes) else message.body.encode()
            structured.append(json.loads(body))
            equal(up.post(body, **message.headers)["already_there"], 1, "the same event in structured mode")
        batch = up.post(structured, **{"content-type": "application/cloudevents-batch+json"})
        equal((batch["recorded"], batch["already_there"]), (0, len(events)), "the same events in a batch")
        target.open.set()
        until("all runs", lambda: len(target.inputs) >= first + len(events))
        for event in events:
            message = to_structured_event(event)
            until("it is done", lambda: up.post(message.body, **message.headers)["done_before"] == 1)
        _, summary = up.stop()
    equal(summary["worker"]["completed"], first + len(events), "each ran once, whatever modes it came in")
    equal(max(target.ids().values()), 1, "no id ran twice")
    given = {run["cloud_event"]["id"]: run for run in target.inputs}
    for event, json_form in zip(events, structured):
        run = given[event.get_id()]
        equal(run["id"], str(general(event)), "the id by its definition")
        for name in ("source", "type", "subject", "partitionkey", "data", "data_base64"):
            equal(run["cloud_event"].get(name), json_form.get(name), f"{name} of {event.get_id()!r}")
    print(f"{first} examples of the SDK and {len(events)} hostile events, in three modes: each ran once")


def general(event):
    """The id of a general event by its definition, in another language than Daybook's."""
    name = b""
    for field in ("general", event.get_source(), event.get_id()):
        data = field.encode()
        name += b"\1" + len(data).to_bytes(8, "big") + data
    return uuid.UUID(bytes=hashlib.sha1(NAMESPACE.bytes + name).digest()[:16], version=5)


def spike_bodies():
    for start in range(0, SPIKE, PER_REQUEST):
        yield [
            {"specversion": "1.0", "id": str(n), "source": "/spike", "type": "view", "subject": f"user/{n % 100}", "data": {"n": n}}
            for n in range(start, start + PER_REQUEST)
        ]


BATCH = {"content-type": "application/cloudevents-batch+json"}
# One request at a time, of a hundredth of the spike.
ONE_AT_A_TIME = ("--batch-size", str(min(PER_REQUEST, 100)), "--workers", "1")


def buffered(folder):
    target = Target()
    with Up(folder, *ONE_AT_A_TIME, "--max-backlog", BACKLOG, "--admission", "buffer", target=target.arguments) as up:
        began = time.monotonic()
        recorded = 0
        for body in spike_bodies():
            recorded += up.post(body, **BATCH)["recorded"]
            target.sent += len(body)
        seconds = time.monotonic() - began
        taken = len(target.inputs)
        equal(recorded, SPIKE, "all of a spike is recorded")
        # From now on as fast as it can.
        target.open.set()
        until("all of the spike is done", lambda: len(target.ids()) == SPIKE, patience=300, every=0.2)
        _, summary = up.stop()
    equal(summary["worker"]["completed"], SPIKE, "each event of the spike is done")
    equal(set(target.ids().values()), {1}, "each event ran once")
    check(taken * 10 <= SPIKE, "the target took a tenth of what came at most", taken)
    print(f"buffered: {SPIKE} events in {seconds:.1f} s, of which the target took {taken} meanwhile; each ran once")


def refused(folder):
    target = Target()
    with Up(folder, *ONE_AT_A_TIME, "--max-backlog", BACKLOG, "--admission", "reject", target=target.arguments) as up:
        accepted, refusals, began = set(), 0, time.monotonic()
        for body in spike_bodies():
            answer = try_post(up, body)
            target.sent += len(body)
            if answer is None:
                refusals += len(body)
            else:
                accepted.update(event["id"] for event in body)
                equal(answer["recorded"], len(body), "what is accepted is recorded")
        seconds = time.monotonic() - began
        equal(len(accepted) + refusals, SPIKE, "each was accepted or refused")
        check(refusals >= SPIKE / 2, "most of a spike is refused", refusals)
        target.open.set()
        until("what was accepted is done", lambda: len(target.ids()) == len(accepted), every=0.1)
        _, summary = up.stop()
    equal(summary["worker"]["completed"], len(accepted), "what was accepted is done")
    equal(target.ids(), collections.Counter(accepted), "nothing that was refused ran, and all else once")
    print(f"refused: {refusals} of {SPIKE} events with 429 in {seconds:.1f} s; the {len(accepted)} others ran once")


def try_post(up, body):
    """The answer, or None for 429, which says when to come again."""
    connection = http.client.HTTPConnection(up.host, timeout=60)
    try:
        connection.request("POST", "/events", body=json.dumps(body), headers=BATCH)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status == 429:
        check(response.getheader("retry-after"), "a refusal says when to come again", response.getheaders())
        return None
    equal(response.status, 200, text)
    return json.loads(text)


for case in (all_modes, buffered, refused):
    with tempfile.TemporaryDirectory() as folder:
        case(pathlib.Path(folder))
