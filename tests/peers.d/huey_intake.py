"""The intake of huey: takes notifications over HTTP and answers when their tasks are stored. Started by tests/python/peers.py."""

import json
import os
import socketserver
import threading
import urllib.parse

from huey_events import event, huey


def job_of(record):
    bucket, s3_object = record["s3"]["bucket"], record["s3"]["object"]
    return {
        "event": record["eventName"],
        "time": record["eventTime"],
        "bucket": bucket["name"],
        "key": urllib.parse.unquote_plus(s3_object["key"]),
        "size": s3_object["size"],
        "etag": s3_object["eTag"],
        "sequencer": s3_object["sequencer"],
    }


class Intake(socketserver.StreamRequestHandler):
    """As little of HTTP as the load generator needs."""

    disable_nagle_algorithm = True
    # One writer at a time: waiting here is cheaper than in SQLite.
    writing = threading.Lock()

    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()).strip():
                name, value = header.split(b":", 1)
                if name.lower() == b"content-length":
                    length = int(value)
            body = self.rfile.read(length)
            answer = json.dumps(self.answer(line.split()[0], body), separators=(",", ":")).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    def answer(self, method, body):
        if method == b"GET":
            # A task is deleted when a worker takes it: those that run are not seen here.
            return {"open": huey.pending_count()}
        jobs = [job_of(record) for record in json.loads(body)["Records"]]
        with self.writing:
            for job in jobs:
                event(job)
        return {"recorded": len(jobs)}


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("127.0.0.1", int(os.environ["PORT"])), Intake) as server:
        print("ready", flush=True)
        server.serve_forever()
