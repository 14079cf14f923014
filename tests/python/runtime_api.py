"""Lambda's Runtime API on loopback, for one process, and what that process uses. Standard library only."""

import http.server
import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import uuid

from up import PATIENCE, check

NEXT = "/2018-06-01/runtime/invocation/next"


class Function:
    """A bootstrap under the Runtime API. Use it as a context."""

    def __init__(self, bootstrap, environment, name, memory_mb, timeout):
        self.timeout = timeout
        self.name = name
        self._events, self._answers = queue.Queue(), queue.Queue()
        self._ready = threading.Event()
        function = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                function.ready_at = function.ready_at or time.monotonic()
                function._ready.set()
                event = function._events.get()
                if event is None:
                    self.close_connection = True
                    return
                body = json.dumps(event).encode()
                self.send_response_only(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + function.timeout) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", f"arn:aws:lambda:us-east-1:000000000000:function:{name}")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                self.send_response_only(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                function._answers.put((self.path.endswith("/response"), body))
                function._ready.set()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.ready_at = None
        began = time.monotonic()
        self.process = subprocess.Popen(
            [bootstrap],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={
                **environment,
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
                "AWS_LAMBDA_FUNCTION_NAME": name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_LOG_GROUP_NAME": name,
                "AWS_LAMBDA_LOG_STREAM_NAME": "1",
                "AWS_LAMBDA_LOG_FORMAT": "JSON",
                "AWS_LAMBDA_LOG_LEVEL": "INFO",
                "AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023",
            },
        )
        try:
            check(self._ready.wait(PATIENCE) and self.ready_at, f"{name} asks for an event", self._answers.queue)
        except BaseException:
            self.end()
            raise
        self.init_seconds = self.ready_at - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self._events.put(None)
        self.process.kill()
        self.process.wait()
        self._server.shutdown()
        self._server.server_close()

    def invoke(self, event):
        """One invocation; its answer."""
        self._events.put(event)
        worked, body = self._answers.get(timeout=self.timeout + PATIENCE)
        check(worked, f"{self.name} succeeds", body)
        return json.loads(body)

    def cpu_seconds(self):
        """Of all threads, user and system."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1])
