"""Stacks whose target is a Lambda function and a queue, each as deploy/examples has it: events that succeed, that fail, alone or with a part of
their batch, and whose end nobody tells. S3's notifications are sent by hand, so that they can name objects that are not there yet."""

import collections
import json
import time
import urllib.parse

from emulated import ACCOUNT, REGION
from pipeline import PATIENCE, Pipeline, say
from up import check, equal, object_id, until

EVENTS = 100
# Of a batch, and of a notification.
TOGETHER = 10
# What a retry waits for the schedule function's next tick is shortened to.
TICK = 3
# Invocations of an attempt without a record: the first one, and `MOST_UNTOLD` of manager/src/invoke.rs.
UNTOLD = 4

SETTINGS = {"BatchSize": TOGETHER, "PerWindow": 1000, "Lease": "30s", "Backoff": "5s", "MaxAttempts": 3}


def keys(prefix, count):
    return [f"{prefix}/{n:03d} a b+c ü.bin" for n in range(count)]


def notify(pipeline, keys):
    """S3's notifications of these objects, ten in a message."""
    sqs = pipeline.cloud.client("sqs")
    for first in range(0, len(keys), TOGETHER):
        records = [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": REGION,
                "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": pipeline.bucket, "arn": f"arn:aws:s3:::{pipeline.bucket}"},
                    "object": {"key": urllib.parse.quote_plus(key), "size": 1, "eTag": "0" * 32, "sequencer": "0068B5C2F400000001"},
                },
            }
            for key in keys[first : first + TOGETHER]
        ]
        sqs.send_message(QueueUrl=pipeline.stack.resources["IntakeQueue"], MessageBody=json.dumps({"Records": records}))


def put(pipeline, keys):
    for key in keys:
        pipeline.s3.put_object(Bucket=pipeline.bucket, Key=key, Body=key.encode())


def until_counts(pipeline, what, sweep=False, **wanted):
    """Waits for exactly these counts of rows and receipts. Meanwhile the schedule function runs more often than once a minute, and the
    reconcile function if that is wanted. Gives what rows said of their last failures."""
    seen, why = [], set()

    def reached():
        equal(pipeline.cloud.asynchronous.failures, [], "asynchronous invocations that could not be made or recorded")
        pipeline.stack.tick("schedule", time.time())
        if sweep:
            pipeline.sweep()
        why.update(row["last_error"]["S"] for row in pipeline.stack.rows() if "last_error" in row)
        seen[:] = [pipeline.counts()]
        return seen == [wanted]

    try:
        until(what, reached, PATIENCE, TICK)
    except SystemExit as problem:
        raise SystemExit(f"{problem}\n  {pipeline.name}: wanted {wanted}, last seen {seen}") from None
    say(f"{pipeline.name}: {what}")
    return why


def counted(pipeline, mark):
    """What the events cost that have succeeded since then, and nothing else."""
    units = collections.Counter()
    for function, call in pipeline.stack.calls(mark):
        if call.writes:
            units[f"{function} {call.operation}"] += call.writes
    per_event = sum(units.values()) / EVENTS
    check(0 < per_event <= 8.5, f"at most 8 write units per event of {pipeline.name}, and those of grants", units)
    return {"events": EVENTS, "write_units_per_event": per_event, "write_units": dict(units)}


def successes(pipeline):
    """Events that succeed, and what they cost."""
    wanted = keys("good", EVENTS)
    put(pipeline, wanted)
    mark = pipeline.cloud.proxy.mark()
    notify(pipeline, wanted)
    until_counts(pipeline, f"{EVENTS} events have succeeded", receipts=EVENTS)
    return wanted, counted(pipeline, mark)


def failures(pipeline, done):
    """Of three batches some fail: those whose objects come late succeed in their second attempts, the others are parked."""
    good, late, gone = keys("beside", 16), keys("late", 10), keys("gone", 4)
    put(pipeline, good)
    mixed = [key for three in zip(good[:10], late, [*gone, *good[10:]]) for key in three]
    notify(pipeline, mixed)
    until("the late ones to have failed once", lambda: all("last_error" in row for row in rows_of(pipeline, late)), PATIENCE, 0.5)
    put(pipeline, late)
    done += good + late
    why = until_counts(pipeline, "what failed in part of a batch is retried, then parked", PARKED=len(gone), receipts=len(done))
    for row in pipeline.stack.rows():
        check(row["key"]["S"] in gone, "what is parked is what is gone", row)
    status = pipeline.stack.status()
    equal((status["parked"]["rows"], status["failures"]), (len(gone), []), f"what `daybook status` says of {pipeline.name}")
    return why


def rows_of(pipeline, keys):
    """The rows of these, of which each has one."""
    rows = [row for row in pipeline.stack.rows() if row["key"]["S"] in keys]
    return rows if len(rows) == len(keys) else [{}]


def check_done(pipeline, done, handed, gone):
    """Each has one receipt, and was handed over as often as its attempts and repeated deliveries ask for."""
    receipts = {receipt["id"]["S"] for receipt in pipeline.stack.receipts()}
    equal(receipts, {str(object_id("aws", pipeline.bucket, key, None, "created")) for key in done}, f"the receipts of {pipeline.name}")
    again = pipeline.metrics("reconcile")[0]["EventsRedelivered"]
    twice = sum(count - 1 for count in handed.values())
    check(twice <= again, "an attempt is handed over again only when the sweep has sent it again", twice, again)
    equal({key for key, _ in handed}, {*done, *gone}, f"what {pipeline.name} handed over")
    most = {key: max(attempt for other, attempt in handed if other == key) for key, _ in handed}
    retried = {key for key, attempt in most.items() if attempt > 1}
    check(all(key.startswith(("late/", "gone/", "broken/", "untold/")) for key in retried), "what had a second attempt", retried)
    for queue in ("IntakeQueue", "DispatchQueue", "CompletionQueue"):
        until(f"{queue} of {pipeline.name} to be empty", lambda queue=queue: pipeline.stack.queued(queue) == 0)
    for queue in ("IntakeDeadLetters", "DispatchDeadLetters", "CompletionDeadLetters"):
        equal(pipeline.stack.queued(queue), 0, f"messages in {queue} of {pipeline.name}")
    pipeline.stack.check_policies()


def events_of(payload):
    return payload.get("events", [payload])


def function_flow(cloud, packaged):
    """A function that is invoked asynchronously; its destinations are the completion queue."""
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daybook-work"
    pipeline = Pipeline(cloud, packaged, "daybook-function", "worked", target={"TargetFunctionArn": arn}, **SETTINGS)
    cloud.deploy(
        "function-work", cloud.package_example("target-function"), FunctionName="daybook-work", Bucket=pipeline.bucket,
        CompletionQueueArn=pipeline.stack.outputs["CompletionQueueArn"],
    )  # fmt: skip
    say(f"{pipeline.name}: is up, with its function")
    done, counts = successes(pipeline)
    why = failures(pipeline, done)
    equal(why, {"its batch's output lists it in batchItemFailures"}, "why events have failed")

    # A function that cannot be loaded fails all of a batch.
    broken = keys("broken", 12)
    functions = cloud.client("lambda")
    functions.update_function_configuration(FunctionName="daybook-work", Handler="missing.handler")
    put(pipeline, broken)
    notify(pipeline, broken)
    until("all of them to have failed", lambda: all("last_error" in row for row in rows_of(pipeline, broken)), PATIENCE, 0.5)
    functions.update_function_configuration(FunctionName="daybook-work", Handler="index.handler")
    done += broken
    why = until_counts(pipeline, "what a broken function failed has succeeded since", PARKED=4, receipts=len(done))
    check(any(each.startswith("RetriesExhausted: ") for each in why), "a row says what the function raised", why)

    # Nobody tells of the first attempts.
    untold = keys("untold", 3)
    cloud.asynchronous.lost = lambda payload: any(event["key"] in untold and event["attempt"] == 1 for event in events_of(payload))
    put(pipeline, untold)
    notify(pipeline, untold)
    done += untold
    why = until_counts(pipeline, "what nobody told of failed, and succeeded in its second attempt", sweep=True, PARKED=4, receipts=len(done))
    check(any(each.startswith("UNTOLD: 3 invocations in a row") for each in why), "a row says that nobody told of its attempt", why)
    equal(pipeline.metrics("invoke")[0]["AttemptsFailed"], len(untold), "attempts that failed because nobody told of them")

    runs = cloud.asynchronous.runs("daybook-work")
    equal({run.condition for run in runs}, {"Success", "RetriesExhausted"}, "how invocations ended")
    handed = collections.Counter((event["key"], event["attempt"]) for run in runs for event in events_of(run.payload))
    for key in untold:
        check(handed[key, 1] >= UNTOLD, f"{UNTOLD} invocations for {key}", handed[key, 1])
    check_done(pipeline, done, handed, keys("gone", 4))
    say(f"{pipeline.name}: {len(done)} events by {len(runs)} invocations, {counts['write_units_per_event']:.2f} write units each")
    return counts


def queue_flow(cloud, packaged):
    """A queue whose consumer reports to the completion queue."""
    example = cloud.package_example("target-queue")
    work = cloud.deploy("queue-work", example, Bucket="consumed")
    target = {"TargetQueueUrl": work.outputs["TargetQueueUrl"], "TargetCompletion": "reported"}
    pipeline = Pipeline(cloud, packaged, "daybook-queue", "consumed", target=target, **SETTINGS)
    outputs = pipeline.stack.outputs
    work = cloud.deploy(
        "queue-work", example, Bucket=pipeline.bucket,
        CompletionQueueUrl=outputs["CompletionQueueUrl"], CompletionQueueArn=outputs["CompletionQueueArn"],
    )  # fmt: skip
    say(f"{pipeline.name}: is up, with its queue and consumer")
    done, counts = successes(pipeline)
    why = failures(pipeline, done)
    check(why and all("NoSuchKey" in each or "AccessDenied" in each for each in why), "a row says what its consumer reported", why)

    # A consumer that does not run keeps its messages; then they are lost.
    work.mapping("work", enabled=False)
    untold = keys("untold", 3)
    put(pipeline, untold)
    notify(pipeline, untold)
    done += untold
    until("their message to wait in the target queue", lambda: work.queued("WorkQueue") == 1, PATIENCE, 0.5)
    ended = time.time() + 35
    until("their leases to end", lambda: time.time() > ended, PATIENCE, 1)
    before = pipeline.metrics("reconcile")[0]["EventsRedelivered"]
    equal(pipeline.sweep()["EventsRedelivered"], before, "events that are sent again while the target queue holds them")
    cloud.client("sqs").purge_queue(QueueUrl=work.resources["WorkQueue"])
    work.mapping("work", enabled=True)
    until_counts(pipeline, "what the target queue lost was sent again, and has succeeded", sweep=True, PARKED=4, receipts=len(done))

    denied = {(function, call.operation) for function, call in work.calls() if "Denied" in call.failure}
    equal(denied, set(), "calls that the consumer's policy does not allow")
    equal(work.queued("WorkQueue") + work.queued("WorkDeadLetters"), 0, "messages that the consumer left")
    reported = collections.Counter()
    for function, call in work.calls():
        reported[call.operation] += 1
    say(f"{pipeline.name}: {len(done)} events, {counts['write_units_per_event']:.2f} write units each; the consumer made {dict(reported)}")
    pipeline.stack.check_policies()
    return counts


def sent_flow(cloud, packaged):
    """A FIFO queue to which an event is done as soon as it has its message. Nobody consumes it."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="daybook-sent.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    target = {"TargetQueueUrl": url, "TargetCompletion": "sent"}
    pipeline = Pipeline(cloud, packaged, "daybook-sent", "sent", target=target, **{**SETTINGS, "BatchSize": 1})
    wanted, mark = keys("sent", EVENTS), cloud.proxy.mark()
    notify(pipeline, wanted)
    until_counts(pipeline, f"{EVENTS} events are sent", receipts=EVENTS)
    counts = counted(pipeline, mark)
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"]).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            bodies.append((json.loads(message["Body"]), message["Attributes"]["MessageGroupId"]))
    handed = collections.Counter((body["key"], body["attempt"]) for body, _ in bodies)
    objects = {str(object_id("aws", pipeline.bucket, key, None, "created")) for key in wanted}
    equal({group for _, group in bodies}, objects, "the groups of messages, which are their objects")
    check_done(pipeline, wanted, handed, [])
    sends = [call for function, call in pipeline.stack.calls(mark) if function == "invoke" and call.operation.startswith("SendMessage")]
    check(len(sends) < EVENTS, "messages are sent together", len(sends))
    completed = pipeline.metrics("invoke")[0]["EventsCompleted"]
    equal(completed, EVENTS, "EventsCompleted of invoke")
    say(f"{pipeline.name}: {EVENTS} events by {len(sends)} requests, {counts['write_units_per_event']:.2f} write units each")
    return counts
