"""A reverse proxy on loopback between the functions and the emulated AWS that counts what passes: by function, service and operation,
and what each call to DynamoDB costs. It stands for the TLS before AWS, and says so in X-Forwarded-Proto, because the queues' policies
refuse everything else. Asynchronous invocations of functions go to `invoked` instead (asynchronous.py). Nothing else is changed on the
way. Standard library only."""

import collections
import gzip
import http.client
import http.server
import json
import re
import threading
import urllib.parse

import write_units

# `billed` is how many requests SQS bills for it, by its messages.
Call = collections.namedtuple("Call", "key service operation status writes reads largest failure statements billed", defaults=(1,))

# Of a request of SQS, bytes that are billed as one.
BILLED_BYTES = 64 * 1024

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"}

S3_BY_QUERY = {"list-type": "ListObjectsV2", "versions": "ListObjectVersions", "versioning": "GetBucketVersioning"}


def operation_of(service, method, path, target):
    """The name of the operation, from where its protocol puts it."""
    if target:
        return target.rpartition(".")[2]
    if service != "s3":
        return f"{method} {path}"
    parts = urllib.parse.urlsplit(path)
    for name in urllib.parse.parse_qs(parts.query, keep_blank_values=True):
        if name in S3_BY_QUERY:
            return S3_BY_QUERY[name]
    return {"HEAD": "HeadObject", "GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}.get(method, method)


def billed(*bodies):
    """Requests that SQS bills for one that sends or receives these messages."""
    return max(1, -(-sum(len(body.encode()) for body in bodies) // BILLED_BYTES))


def signer(request):
    """Whose request it is, by access key, and the service that it is for."""
    scope = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/aws4_request", request.headers.get("Authorization", ""))
    return scope.groups() if scope else ("unsigned", "unknown")


class CountingProxy:
    """Listens on a free port of 127.0.0.1 and forwards to `port` there."""

    def __init__(self, port):
        self.calls = []
        self.rule_failures = []
        # Takes the caller's access key, the path and the body of an asynchronous invocation; gives status and answer.
        self.invoked = None
        self._lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            upstream = None

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if proxy.invoked is not None and self.headers.get("X-Amz-Invocation-Type") == "Event":
                    self.answer_invocation(body)
                    return
                if self.upstream is None:
                    self.upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                try:
                    self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        if name.lower() not in HOP_BY_HOP:
                            self.upstream.putheader(name, value)
                    self.upstream.putheader("X-Forwarded-Proto", "https")
                    self.upstream.endheaders(body)
                    answer = self.upstream.getresponse()
                    text = answer.read()
                except (OSError, http.client.HTTPException):
                    # As a broken connection looks to the client: it cannot know whether the call was done.
                    self.upstream.close()
                    self.upstream = None
                    self.close_connection = True
                    return
                proxy.count(self, body, answer, text)
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP | {"content-length"}:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else len(text)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                self.wfile.write(text)

            def answer_invocation(self, body):
                key, _ = signer(self)
                status, answer = proxy.invoked(key, self.path, body)
                failure = answer.get("__type", "")
                with proxy._lock:
                    proxy.calls.append(Call(key, "lambda", "Invoke", status, 0.0, 0.0, 0, failure, frozenset()))
                text = json.dumps(answer).encode() if answer else b""
                self.send_response_only(status)
                if failure:
                    self.send_header("X-Amzn-ErrorType", failure)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

            def log_message(self, *_):
                pass

            def finish(self):
                if self.upstream is not None:
                    self.upstream.close()
                super().finish()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def count(self, request, body, answer, text):
        key, service = signer(request)
        operation = operation_of(service, request.command, request.path, request.headers.get("X-Amz-Target"))
        writes, reads, largest, failure, statements, requests = 0.0, 0.0, 0, "", frozenset(), 1
        if service in ("dynamodb", "sqs", "states"):
            if answer.getheader("Content-Encoding") == "gzip":
                text = gzip.decompress(text)
            asked, said = json.loads(body or b"{}"), json.loads(text or b"{}")
            failure = said.get("__type", "").rpartition("#")[2] if answer.status != 200 else ""
            if operation == "BatchExecuteStatement":
                found = (re.match(r'(\w+) (?:INTO |FROM )?"([^"]+)"', one["Statement"]).groups() for one in asked["Statements"])
                statements = frozenset((f"dynamodb:PartiQL{verb.capitalize()}", table) for verb, table in found)
            if service == "sqs":
                requests = billed(*(entry.get("MessageBody", "") for entry in asked.get("Entries", [asked])))
            if service == "dynamodb":
                try:
                    writes, reads, largest = write_units.of(operation, asked, said, answer.status)
                except (ValueError, KeyError) as problem:
                    with self._lock:
                        self.rule_failures.append(f"{operation}: {problem!r} of {asked} and {said}")
        with self._lock:
            self.calls.append(Call(key, service, operation, answer.status, writes, reads, largest, failure, statements, requests))

    def mark(self):
        with self._lock:
            return len(self.calls)

    def since(self, mark=0):
        with self._lock:
            return self.calls[mark:]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
