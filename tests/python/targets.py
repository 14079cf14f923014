"""The code in deploy/examples/target-*.yaml: what the function answers, and what the consumer reports, with a stand-in for boto3.

Started by tests/deploy.
"""

import contextlib
import io
import json
import logging
import os
import sys
import types

from cfnlint.decode import decode


class S3:
    """Has every object but those whose keys say so."""

    def get_object(self, Bucket, Key, **version):
        if "missing" in Key:
            raise KeyError(Key)
        return {"Body": types.SimpleNamespace(iter_chunks=lambda size: iter([b"data"]))}


class Sqs:
    def __init__(self):
        self.sent, self.fails = [], False

    def send_message(self, QueueUrl, MessageBody):
        if self.fails:
            raise ConnectionError("no connection")
        self.sent.append((QueueUrl, json.loads(MessageBody)))


def handler(example, sqs):
    template, problems = decode(f"deploy/examples/{example}.yaml")
    assert template is not None, problems
    sys.modules["boto3"] = types.SimpleNamespace(client=lambda service: {"s3": S3(), "sqs": sqs}[service])
    names = {}
    exec(template["Resources"]["WorkFunction"]["Properties"]["InlineCode"], names)  # noqa: S102
    return names["handler"]


def event(number, key):
    return {"id": f"event-{number}", "attempt": number, "bucket": "data", "key": key, "kind": "created"}


GOOD, BAD = event(1, "a.json"), event(2, "missing.json")


def function():
    handle = handler("target-function", Sqs())
    assert set(handle(GOOD, None)) == {"sha256"}
    try:
        handle(BAD, None)
        raise AssertionError("a single event that fails fails the invocation")
    except KeyError:
        pass
    answer = handle({"batch": "b", "events": [GOOD, BAD]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "event-2"}]}, answer


def consumer():
    os.environ["COMPLETION_QUEUE_URL"] = "completion"
    sqs = Sqs()
    handle = handler("target-queue", sqs)

    def records(*bodies):
        return {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}

    single, batch = json.dumps(BAD), json.dumps({"batch": "b", "events": [GOOD, BAD]})
    answer = handle(records(single, "no JSON", batch), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}, answer
    failed = {"id": "event-2", "attempt": 2, "failed": "KeyError: 'missing.json'"}
    reports = [
        {"source": "daybook.report", "detail": {"events": [failed]}},
        {"source": "daybook.report", "detail": {"events": [{"id": "event-1", "attempt": 1}, failed], "batch": "b"}},
    ]
    assert sqs.sent == [("completion", report) for report in reports], sqs.sent
    # What cannot be reported comes again.
    sqs.fails = True
    assert handle(records(single), None) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


# What they log is for whoever reads their logs.
logging.disable()
with contextlib.redirect_stdout(io.StringIO()):
    function()
    consumer()
print("the code of the examples does what it should")
