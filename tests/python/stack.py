"""Stands ten of Daybook's stacks up in ministack from deploy/template.yaml, with the functions that deploy/build made, and passes events
through them: four with state machines, one with a Lambda function, two with a queue, and three whose cost is counted. Started by tests/stack.

What is waited for is a condition, never a time: the emulated schedules tick once a minute, as EventBridge Scheduler does at its finest.
"""

import collections
import concurrent.futures
import json
import signal
import sys
import tempfile
import time

import cost
import stack_batches
import stack_cost
import stack_targets
from emulated import ACCOUNT, REGION, Cloud
from pipeline import PATIENCE, Pipeline, say
from up import ROOT, check, equal, until

# Seconds: `SETTLES` of reconciler/src/audit/intake.rs.
INTAKE_SETTLES = 300.0
EVENTS = 200

# What the functions asked AWS for.
COUNTS = ROOT / "target/stack/counts.json"

# What is encoded in one way or another on its way.
DECORATIONS = ["plain", "a b+c", "50% & <more>", "ü/é", "x=1?y#z", "~!*'()", "tab\there"]


def keys(prefix, count):
    return [f"{prefix}/{n:03d} {DECORATIONS[n % len(DECORATIONS)]}.bin" for n in range(count)]


def first_flow(first):
    """200 uploads, told by S3 itself, driven by the stack's own queues, schedules and rules."""
    first.attach()
    first.stack.mapping("invoke", enabled=False)
    first.upload(keys("in", EVENTS))
    until(f"{EVENTS} rows", lambda: len(first.stack.rows()) == EVENTS, PATIENCE, 0.5)
    open_rows = collections.Counter(row["status"]["S"] for row in first.stack.rows())
    say(f"{first.name}: {EVENTS} uploads are {EVENTS} rows")
    if open_rows == {"PENDING": EVENTS}:
        first.check_status(pending=EVENTS)
    first.stack.mapping("invoke", enabled=True)
    first.until("each has a receipt, and no row is left", receipts=EVENTS)
    first.check_done()
    recorded, _ = first.metrics("ingest")
    equal(recorded["EventsRecorded"], EVENTS, "EventsRecorded")
    claimed, most = first.metrics("schedule")
    equal(claimed["EventsClaimed"], EVENTS, "EventsClaimed")
    equal(most["EventsClaimed"], first.parameters["PerWindow"], "the most that one tick claimed")
    started, _ = first.metrics("invoke")
    equal(started["ExecutionsStarted"], EVENTS, "ExecutionsStarted")
    completed, _ = first.metrics("complete")
    equal(completed["EventsCompleted"], EVENTS, "EventsCompleted")
    say(f"{first.name}: {EVENTS} objects, {EVENTS} executions; status, metrics and tables agree")
    counts = cost.counted(first.stack, EVENTS, EVENTS // first.parameters["PerWindow"], 8.0)
    audit_flow(first)
    first.stack.check_policies()
    removal_flow(first)
    return counts


def third_flow(third):
    """200 uploads, told by S3 itself and dispatched at once, but for those whose ingest lost the budget to others again and again."""
    third.attach()
    third.upload(keys("at-once", EVENTS))
    third.until("each has a receipt, and no row is left", receipts=EVENTS)
    third.check_done()
    sent, _ = third.metrics("ingest")
    by_ticks = third.metrics("schedule")[0]["EventsClaimed"]
    equal((sent["EventsRecorded"], sent["EventsSent"] + by_ticks), (EVENTS, EVENTS), "EventsRecorded, and EventsSent by ingest or a tick")
    check(sent["EventsSent"] > 0, "some were dispatched at once", sent)
    say(f"{third.name}: {sent['EventsSent']:.0f} of {EVENTS} objects were dispatched at once")
    waits = sorted(wait for wait in map(third.wait, third.executions()))
    say(f"{third.name}: from upload to start {waits[EVENTS // 2]:.1f} s in the median, {waits[EVENTS * 99 // 100]:.1f} s for 99 of 100")
    # And the grant of each batch, for which it asks four times at most.
    batches, *_ = cost.reports(third.stack.logs("ingest"))
    most = (5 * sent["EventsSent"] + 8 * by_ticks + 4 * batches) / EVENTS
    return cost.counted(third.stack, EVENTS, None, most)


def fourth_flow(fourth):
    """200 events in batches of up to a hundred, dispatched at once."""
    batches, counts = stack_batches.flow(fourth, keys("together", EVENTS), PATIENCE)
    say(f"{fourth.name}: {EVENTS} objects, {batches} executions")
    return counts


def second_flow(second):
    """200 uploads by EventBridge, dispatched at once. The first attempts of some fail; then the dispatch queue is purged while it holds the rest."""
    flaky, before = keys("flaky", 10), keys("before", EVENTS - 60)
    after = keys("after", 50)
    second.s3.put_bucket_notification_configuration(
        Bucket=second.bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    second.upload(flaky + before)
    until("the first executions", lambda: len(second.stack.receipts()) >= len(before), PATIENCE, 0.5)
    second.until("what failed once succeeded in its second attempt", receipts=len(flaky + before))
    second.stack.mapping("invoke", enabled=False)
    second.upload(after)
    second.until("the rest is claimed and sent", CLAIMED=len(after), receipts=len(flaky + before))
    equal(second.stack.queued("DispatchQueue"), len(after), "messages on the dispatch queue")
    second.cloud.client("sqs").purge_queue(QueueUrl=second.stack.resources["DispatchQueue"])
    equal(second.stack.queued("DispatchQueue"), 0, "messages on the purged queue")
    second.check_status(claimed=len(after))
    second.stack.mapping("invoke", enabled=True)
    say(f"{second.name}: the dispatch queue was purged of {len(after)} messages")
    # Its own schedule runs it every five minutes.
    until("the leases to end and the sweep to send again", lambda: second.sweep()["EventsRedelivered"] >= len(after), PATIENCE, 3)
    second.until("the reconcile function sent them again; each has a receipt", receipts=EVENTS)
    second.check_done(lambda key: 2 if key in flaky else 1)


def audit_flow(first):
    """Objects that no notification told of are found by the audit function, recorded, and processed."""
    first.daybook("detach", f"s3://{first.bucket}", "--yes")
    untold = keys("untold", 5)
    first.upload(untold)
    # The audit's grace is a second, to the second. What arrived in the last five minutes before the intake was seen empty may still wait.
    newest = max(one["LastModified"] for one in first.s3.list_objects_v2(Bucket=first.bucket)["Contents"]).timestamp()
    settled = newest + INTAKE_SETTLES + 5
    until("the objects to be older than what may wait in the intake", lambda: time.time() > settled, INTAKE_SETTLES + 60, 1)

    reports = []

    def complete():
        reports[:] = first.stack.tick("audit", time.time())["audits"]
        return reports and reports[0]["complete"]

    until("the audit to come to its end", complete, PATIENCE, 1)
    [report] = reports
    equal((report["audit"], report["missing"], report["recorded_now"]), (f"s3://{first.bucket}/", len(untold), len(untold)), "the audit")
    equal(first.metrics("audit")[0]["ObjectsRepaired"], len(untold), "ObjectsRepaired")

    first.tick_until_receipts("what nothing told of is done", EVENTS + len(untold))
    first.check_done()
    say(f"{first.name}: {len(untold)} objects that nothing told of were found by the audit function, and are done")


def removal_flow(first):
    """The stack goes while rows wait; the data stays, and a new stack of the same name goes on with it."""
    cloudformation = first.cloud.client("cloudformation")
    kept = {name: first.stack.resources[name] for name in ("LedgerTable", "ReceiptsTable")}
    first.attach()
    first.daybook("pause", "--why", "the stack is removed")
    receipts, waiting = first.stack.receipts(), keys("waiting", 3)
    first.upload(waiting)
    until("rows that wait", lambda: len(first.stack.rows()) == len(waiting), PATIENCE, 0.5)
    functions = first.stack.functions
    cloudformation.delete_stack(StackName=first.name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=first.name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    dynamodb = first.cloud.client("dynamodb")
    for name in ("LedgerTable", "ReceiptsTable"):
        described = dynamodb.describe_table(TableName=kept[name])["Table"]
        equal(described["DeletionProtectionEnabled"], True, f"the deletion protection of {name}")
    equal((len(first.stack.rows()), len(first.stack.receipts())), (len(waiting), len(receipts)), "rows and receipts after the removal")
    there = {function["FunctionName"] for function in first.cloud.client("lambda").list_functions()["Functions"]}
    equal(there & set(functions.values()), set(), "functions of the removed stack")
    say(f"{first.name}: removed; its tables are still there, with their rows and receipts")
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
    first.stack = first.cloud.deploy(
        first.name, first.packaged, **first.parameters,
        ExistingLedgerArn=table + kept["LedgerTable"], ExistingReceiptsArn=table + kept["ReceiptsTable"],
    )  # fmt: skip
    for name in ("LedgerTable", "ReceiptsTable"):
        equal(first.stack.table(name), kept[name], f"the {name} of the new stack")
    equal(len(first.stack.rows()), len(waiting), "rows that wait")
    new = keys("new", 5)
    first.upload(new)
    until("the rows of both", lambda: len(first.stack.rows()) == len(waiting + new), PATIENCE, 0.5)
    first.daybook("resume")
    first.tick_until_receipts("what waited and what is new is done", len(receipts) + len(waiting + new))
    first.check_done()
    first.stack.check_policies()
    say(f"{first.name}: deployed again on the kept tables: {len(waiting)} rows that waited and {len(new)} new ones are done")


def all_flows(cloud, packaged):
    """Everything; the counts of the stacks by name, first of those whose loads are exact, then of the others."""
    first = Pipeline(
        cloud, packaged, "daybook-first", "uploads", PerWindow=100, AuditGrace="1s", AuditRepair="true",
        Audit="s3://uploads", AuditBucketArns="arn:aws:s3:::uploads", Dispatch="scheduled",
    )  # fmt: skip
    second = Pipeline(
        cloud, packaged, "daybook-second", "bridged", PerWindow=150, Lease="20s", Backoff="1s", EventBridgeBuckets="bridged"
    )
    third = Pipeline(cloud, packaged, "daybook-third", "at-once", PerWindow=1000)
    fourth = Pipeline(cloud, packaged, "daybook-fourth", "together", stack_batches.WORK, PerWindow=1000, BatchSize=100)
    equal(set(first.stack.resources.values()) & set(second.stack.resources.values()), set(), "names that both stacks have")
    say("four stacks are up")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        audited = pool.submit(first_flow, first)
        flows = [pool.submit(flow, pipeline) for flow, pipeline in ((second_flow, second), (third_flow, third), (fourth_flow, fourth))]
        # Deployed while the others wait for their schedules.
        by_target = (stack_targets.function_flow, stack_targets.queue_flow, stack_targets.sent_flow)
        targets = [pool.submit(flow, cloud, packaged) for flow in by_target]
        _, immediate, batched = [flow.result() for flow in flows]
        # While the first waits for its intake to settle, and those of the targets for their leases.
        exact = stack_cost.flows(cloud, packaged)
        function, reported, sent = [flow.result() for flow in targets]
        scheduled = audited.result()
    for pipeline in (second, third, fourth):
        pipeline.stack.check_policies()
    say("no policy refused a call, and none of the calls went beyond its policy")
    others = {
        "scheduled, fed by ministack": scheduled,
        "immediate, fed by ministack": immediate,
        "immediate, BatchSize=100, 100 events in a message": batched,
        "function, BatchSize=10": function,
        "queue reported, BatchSize=10": reported,
        "queue sent": sent,
    }
    return exact, others


def main():
    with tempfile.TemporaryDirectory(prefix="daybook-stack-") as folder, Cloud(folder) as cloud:
        packaged = cloud.package()
        try:
            exact, others = (stack_cost.flows(cloud, packaged), {}) if "--cost" in sys.argv else all_flows(cloud, packaged)
        except BaseException:
            for pipeline in Pipeline.made:
                pipeline.show()
            print(cloud.said(), file=sys.stderr)
            raise
        for what in cloud.left_out:
            print(f"not in the emulated stack: {what}")
    COUNTS.parent.mkdir(parents=True, exist_ok=True)
    COUNTS.write_text(json.dumps({**exact, **others}, indent=2) + "\n")
    print(f"\n{cost.table(exact)}\n")
    for what, counts in others.items():
        print(f"{what}: {counts['write_units_per_event']:.2f} write units per event")
    print(f"\nThe counts are in {COUNTS.relative_to(ROOT)}.")


if __name__ == "__main__":
    # So that the contexts end what they began.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("FAILED: ended from outside"))
    main()
