"""Stacks whose cost is counted: dispatched by the scheduler, at once, and at once in batches of a hundred; each busy, then sparse.

Nothing runs in them by itself (`Running=false`). The script stands for Lambda's pollers and for the schedule, so that what comes together is
the same in every run, and their requests are counted with the others."""

import collections
import time

import cost
import stack_batches
from counting_proxy import billed
from emulated import REGION
from pipeline import PATIENCE, Pipeline, say
from up import check, equal, until

# Events of each load. Sparse ones take four invocations each, one after the other.
BUSY, SPARSE = 500, 40

# Messages of a request of SQS, and of what Lambda hands a function at the template's limit.
PER_REQUEST, PER_CALL = 10, 100

# Name, parameters, write units per event, and of whose calls each costs one unit more: the grant of a window's budget.
KINDS = (
    ("scheduled", {"Dispatch": "scheduled"}, 8, "schedule"),
    ("immediate", {"Dispatch": "immediate"}, 5, "ingest"),
    ("batches of 100", {"Dispatch": "immediate", "BatchSize": 100}, 5, "ingest"),
)


class Poller:
    """Feeds a function from its queue as an event source mapping does, at the script's word."""

    def __init__(self, pipeline, function, queue, requests, sent_by_others):
        self.stack, self.function, self.requests = pipeline.stack, function, requests
        self.sqs, self.url = pipeline.cloud.client("sqs"), pipeline.stack.resources[queue]
        self.sent_by_others = sent_by_others

    def turn(self, most):
        """One invocation with what the queue has, `most` messages at most; how many it had."""
        messages = []
        while len(messages) < most:
            wanted = min(PER_REQUEST, most - len(messages))
            found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=wanted, WaitTimeSeconds=0, AttributeNames=["All"])
            if not (received := found.get("Messages", [])):
                break
            bodies = [message["Body"] for message in received]
            self.requests["received for Lambda"] += billed(*bodies)
            if self.sent_by_others:
                self.requests["sent by S3 and EventBridge"] += sum(map(billed, bodies))
            messages += received
        if messages:
            answer = self.stack.invoke(self.function, {"Records": [self.record(message) for message in messages]})
            equal(answer, {"batchItemFailures": []}, f"what {self.function} of {self.stack.name} returns")
        for first in range(0, len(messages), PER_REQUEST):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages[first : first + PER_REQUEST])
            ]
            self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
            self.requests["deleted for Lambda"] += 1
        return len(messages)

    def record(self, message):
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{self.url.split('/')[-2]}:{self.url.split('/')[-1]}",
            "awsRegion": REGION,
        }

    def feed(self, count, most):
        """Invocations with `most` messages each until so many messages have come, and no more."""
        had = 0

        def fed():
            nonlocal had
            had += self.turn(min(most, count - had))
            return had == count

        until(f"{count} messages for {self.function} of {self.stack.name}", fed, PATIENCE, 0.05)


def pass_through(pipeline, keys, together, is_scheduled, requests):
    """These events, as many together in each step as may be."""
    ingest = Poller(pipeline, "ingest", "IntakeQueue", requests, True)
    invoke = Poller(pipeline, "invoke", "DispatchQueue", requests, False)
    complete = Poller(pipeline, "complete", "CompletionQueue", requests, True)
    for first in range(0, len(keys), together):
        group = keys[first : first + together]
        pipeline.upload(group)
        until("their notifications", lambda: pipeline.stack.queued("IntakeQueue") == len(group), PATIENCE, 0.1)
        ingest.feed(len(group), PER_CALL)
        if is_scheduled:
            pipeline.stack.tick("schedule", time.time())
        waiting = pipeline.stack.queued("DispatchQueue")
        check(waiting > 0, f"{pipeline.name} has sent something", waiting)
        invoke.feed(waiting, PER_CALL)
        until("their ends", lambda: pipeline.stack.queued("CompletionQueue") == waiting, PATIENCE, 0.1)
        complete.feed(waiting, PER_CALL)


def flow(cloud, packaged, number):
    """One of the stacks, busy and sparse: the counts of both, by name."""
    what, parameters, units, granted_to = KINDS[number]
    name = f"daybook-cost-{number}"
    work = {"work": stack_batches.WORK} if "BatchSize" in parameters else {}
    pipeline = Pipeline(cloud, packaged, name, f"cost-{number}", **work, PerWindow=100_000, Running="false", **parameters)
    pipeline.attach()
    # S3 tests a bucket's new notifications with a message of its own.
    until("S3's test", lambda: Poller(pipeline, "ingest", "IntakeQueue", collections.Counter(), True).turn(PER_CALL), PATIENCE, 0.1)
    counts, done = {}, 0
    for load, events, together in (("busy", BUSY, BUSY), ("sparse", SPARSE, 1)):
        mark, requests = cost.mark(pipeline.stack), collections.Counter()
        keys = [f"{load}/2026-11-30/{event:06}.json" for event in range(events)]
        pass_through(pipeline, keys, together, granted_to == "schedule", requests)
        done += events
        equal(pipeline.counts(), {"receipts": done}, f"what {name} has left: a receipt of each event")
        ticks = (1 if load == "busy" else events) if granted_to == "schedule" else 0
        found = cost.counted(pipeline.stack, events, ticks, units + 1, mark, dict(requests))
        spent = cost.per_event(found)["DynamoDB write units"] * events
        equal(round(spent, 3), units * events + found["invocations"][granted_to], f"write units of {what}, {load}")
        equal(found["invocations"]["ingest"], -(-events // min(together, PER_CALL)), f"invocations of ingest of {what}, {load}")
        counts[f"{what}, {load}"] = found
        say(f"{name}: {what}, {load}: {events} events are done and counted")
    pipeline.stack.check_policies()
    return counts


def flows(cloud, packaged):
    """The counts of all, in the order of the table's columns: busy ones, then sparse ones."""
    found = {}
    for number in range(len(KINDS)):
        found |= flow(cloud, packaged, number)
    return dict(sorted(found.items(), key=lambda each: each[0].endswith("sparse")))
