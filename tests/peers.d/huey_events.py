"""huey on SQLite: the task, for its consumer and for huey_intake.py."""

import http.client
import json
import os
import threading
import urllib.parse

from huey import SqliteHuey

# fsync is `synchronous=FULL`. Its own five seconds are too few for 32 threads that wait for one lock.
huey = SqliteHuey("events", filename=os.environ["SQLITE"], fsync=True, timeout=60, results=False)
connections = threading.local()


@huey.task(retries=4)
def event(job):
    if not hasattr(connections, "target"):
        connections.target = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["TARGET"]).netloc)
    connections.target.request("POST", "/", json.dumps(job), {"Content-Type": "application/json"})
    response = connections.target.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(response.status)
