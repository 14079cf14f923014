"""Servers that call a webhook: what they send, byte for byte, and how. No MinIO, RustFS or Ceph runs here: their payloads are
those of schema/tests/fixtures/notifications, their requests are those of their sources (named below)."""

import json
import socket

from up import PATIENCE, ROOT, equal

FIXTURES = ROOT / "schema/tests/fixtures/notifications"


class Fixture:
    """One file of payloads and of what they mean."""

    def __init__(self, name):
        self.name = name
        text = (FIXTURES / f"{name}.json").read_text()
        whole = json.loads(text)
        self.source, self.events = whole["source"], whole["expected"]["events"]
        equal(whole["expected"]["unreadable"], [], f"unreadable parts of {name}")
        self.bodies = [body.encode() for body in bodies(text)]


def bodies(text):
    """The payload's bytes as they stand in the file; of a list each element's."""
    decoder = json.JSONDecoder()
    start = text.index('"payload": ') + len('"payload": ')
    _, end = decoder.raw_decode(text, start)
    if text[start] != "[":
        return [text[start:end]]
    found, at = [], start + 1
    while True:
        while text[at] in " \n,":
            at += 1
        if text[at] == "]":
            return found
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end])
        at = end


class Sender:
    """A server with a webhook. Each request has a connection of its own."""

    # Whether it waits for "100 Continue" before it sends a body.
    waits = False

    def __init__(self, name, about, fixtures, headers, token=None):
        self.name, self.about, self.token = name, about, token
        self.names, self.headers = fixtures, list(headers)
        self.source = self.fixtures()[0].source

    def fixtures(self):
        return [Fixture(name) for name in self.names]

    def probe(self, up):
        """What it sends before the first event."""

    def send(self, up, body):
        """A notification; what daybook up answered."""
        status, answer = self.request(up, "POST", body)
        equal(status, 200, f"the status of a notification of {self.name}, answered by {answer}")
        return json.loads(answer)

    def request(self, up, method, body, authorized=True):
        lines = [f"{method} /events HTTP/1.1", f"Host: {up.host}", *self.headers]
        if self.token and authorized:
            lines.append(f"Authorization: Bearer {self.token}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        host, port = up.host.split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as stream, stream.makefile("rb") as answer:
            head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
            waits = self.waits and body
            stream.sendall(head if waits else head + (body or b""))
            if waits:
                equal(status_of(answer), 100, "the status before the body")
                equal(answer.readline(), b"\r\n", "the end of 100 Continue")
                stream.sendall(body)
            status = status_of(answer)
            while answer.readline() not in (b"\r\n", b""):
                pass
            return status, answer.read().decode()


def status_of(answer):
    return int(answer.readline().split()[1])


class Minio(Sender):
    """internal/event/target/webhook.go: HEAD when it starts, with the token; older releases post `{}` or nothing."""

    def probe(self, up):
        for method, body in (("HEAD", None), ("POST", b"{}"), ("POST", b"")):
            status, _ = self.request(up, method, body)
            equal(status, 200, f"the status of a probe: {method} {body}")
        status, _ = self.request(up, "POST", b"{}", authorized=False)
        equal(status, 401, "the status without the token")


class RustFs(Sender):
    """crates/targets/src/target/webhook.rs: connects and says nothing; in other releases HEAD."""

    def probe(self, up):
        host, port = up.host.split(":")
        socket.create_connection((host, int(port)), PATIENCE).close()
        status, _ = self.request(up, "HEAD", None)
        equal(status, 200, "the status of HEAD")


class Ceph(Sender):
    """src/rgw/rgw_pubsub_push.cc and rgw_http_client.cc: an upload by libcurl, without a content type; it can send no token."""

    waits = True


SENDERS = [
    Minio(
        "minio",
        "HEAD, {} and an empty POST first, a bearer token",
        ["minio_created", "minio_other_events", "minio_tagged_twice"],
        ["User-Agent: Go-http-client/1.1", "Content-Type: application/json", "Accept-Encoding: gzip"],
        token="minio-webhook-token",
    ),
    RustFs(
        "rustfs",
        "a connection without a request, then HEAD, a bearer token",
        ["rustfs"],
        ["User-Agent: Mozilla/5.0 (Linux) RustFS/1.0", "Accept: */*", "Content-Type: application/json"],
        token="rustfs-webhook-token",
    ),
    Ceph("ceph", "waits for 100 Continue, no content type", ["ceph_created", "ceph_other_events"], ["Accept: */*", "Expect: 100-continue"]),
]
