"""A stack that puts up to a hundred events into one execution. Notifications come as Lambda hands them over where much arrives: many together."""

import collections
import json
import urllib.parse

import cost
from up import check, equal, event_id, object_id, until

# Events of a batch, and of what Lambda hands to ingest at once at the template's limit.
TOGETHER = 100

# Takes the whole list in one state.
WORK = {
    "StartAt": "Work",
    "States": {"Work": {"Type": "Pass", "Result": {"batchItemFailures": []}, "End": True}},
}


def records(pipeline, keys):
    """S3's notification of these uploads, with as many records as there are."""
    found = []
    for number, key in enumerate(keys):
        head = pipeline.s3.head_object(Bucket=pipeline.bucket, Key=key)
        found.append(
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": head["LastModified"].strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": pipeline.bucket, "arn": f"arn:aws:s3:::{pipeline.bucket}"},
                    "object": {
                        "key": urllib.parse.quote_plus(key),
                        "size": head["ContentLength"],
                        "eTag": head["ETag"].strip('"'),
                        "sequencer": f"0068B5C2F4{number:08X}",
                    },
                },
            }
        )
    return found


def flow(pipeline, keys, patience):
    """All uploads, told in messages of a hundred records; as many executions as that makes batches."""
    pipeline.upload(keys)
    told = records(pipeline, keys)
    sqs = pipeline.cloud.client("sqs")
    for first in range(0, len(told), TOGETHER):
        body = json.dumps({"Records": told[first : first + TOGETHER]})
        sqs.send_message(QueueUrl=pipeline.stack.resources["IntakeQueue"], MessageBody=body)
    pipeline.until("each has a receipt, and no row is left", receipts=len(keys))
    batches = check_done(pipeline, keys, patience)
    by_ticks = pipeline.metrics("schedule")[0]["EventsClaimed"]
    sent, _ = pipeline.metrics("ingest")
    equal(sent["EventsSent"] + by_ticks, len(keys), "EventsSent by ingest or a tick")
    asked, *_ = cost.reports(pipeline.stack.logs("ingest"))
    most = (5 * sent["EventsSent"] + 8 * by_ticks + 4 * asked) / len(keys)
    return batches, cost.counted(pipeline.stack, len(keys), None, most)


def check_done(pipeline, keys, patience):
    """Every object is done by an execution that names it, and by one only; how many executions there were."""
    pipeline.check_status()
    equal(pipeline.stack.rows(), [], f"open rows of {pipeline.name}")
    runs = collections.Counter()
    executions = pipeline.executions()
    for execution in executions:
        described = pipeline.states.describe_execution(executionArn=execution["executionArn"])
        given = json.loads(described["input"])
        equal(described["name"], f"b-{given['batch']}", "the name of a batch's execution")
        equal(described["status"], "SUCCEEDED", "its status")
        check(0 < len(given["events"]) <= TOGETHER, "at most a hundred events", len(given["events"]))
        equal(given["events"], sorted(given["events"], key=lambda event: event["id"]), "its events, by id")
        for event in given["events"]:
            named = event_id("aws", pipeline.bucket, event["key"], None, "created", event["sequencer"], event["etag"])
            equal((event["id"], event["attempt"]), (str(named), 1), f"the event of {event['key']}")
            runs[event["key"]] += 1
    equal(runs, collections.Counter(keys), f"the runs of {pipeline.name} by key")
    receipts = {receipt["id"]["S"] for receipt in pipeline.stack.receipts()}
    objects = {str(object_id("aws", pipeline.bucket, key, None, "created")) for key in keys}
    equal(receipts, objects, f"the receipts of {pipeline.name}")
    for queue in ("IntakeQueue", "DispatchQueue", "CompletionQueue"):
        until(f"{queue} of {pipeline.name} to be empty", lambda queue=queue: pipeline.stack.queued(queue) == 0, patience)
    for queue in ("IntakeDeadLetters", "DispatchDeadLetters", "CompletionDeadLetters"):
        equal(pipeline.stack.queued(queue), 0, f"messages in {queue} of {pipeline.name}")
    return len(executions)
