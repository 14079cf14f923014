"""What a million events cost, from what the functions of a stack and its queues asked AWS for while some passed through. Standard library only."""

import collections
import re

from up import check, equal

# us-east-1, US dollars per million, and per GB or GB-second where the name says so. No free tier. November 2026.
PRICES = {
    "DynamoDB write units": 0.625,
    "DynamoDB read units": 0.125,
    "SQS requests": 0.40,
    "Lambda requests": 0.20,
    "Lambda GB-seconds": 13.3334,
    "CloudWatch Logs GB": 500_000.0,
}

MOVERS = ("ingest", "schedule", "invoke", "complete")

# What a tick asks whether or not there is anything to do.
EACH_TICK = {"GetItem", "Query", "UpdateItem"}


def reports(lines):
    """Invocations, their seconds, and the bytes that they logged, from the lines of a function's log."""
    seconds = [int(found[1]) / 1000 for line in lines if (found := re.match(r"REPORT .*\tDuration: (\d+) ms", line))]
    return len(seconds), sum(seconds), sum(len(line.encode()) for line in lines)


def mark(stack):
    """What was asked and logged so far, for `counted` to leave out."""
    return stack.cloud.proxy.mark(), {function: reports(stack.logs(function)) for function in MOVERS}


def counted(stack, events, claiming_ticks, most_write_units, since=None, queues=None):
    """All that passed, as JSON can hold it. `events` went through from upload to receipt, once each; so many ticks claimed some of
    them. None: ingest did, and ticks what it left. `queues` are SQS requests per kind that no function made."""
    requests, writes, reads = collections.Counter(), collections.Counter(), collections.Counter()
    largest, tick_reads, tick_writes, ticks, sent = 0, 0.0, 0.0, 0, 0
    from_call, logged = since or (0, {})
    for function, call in stack.calls(from_call):
        if function not in MOVERS:
            continue
        # Of two that ask the budget at the same moment, calls of ingest or ticks, one is refused, and asks again.
        is_lost_race = call.operation == "UpdateItem" and call.failure == "ConditionalCheckFailedException"
        check(call.status == 200 or is_lost_race, f"{call.operation} of {function} is answered", call.status, call.failure)
        largest = max(largest, call.largest)
        sent += call.billed if call.service == "sqs" else 0
        if function == "schedule" and call.operation in EACH_TICK:
            tick_reads, tick_writes = tick_reads + call.reads, tick_writes + call.writes
            requests["each tick", call.service, call.operation] += 1
            ticks += call.operation == "GetItem"
            continue
        requests[function, call.service, call.operation] += 1
        writes[function, call.operation] += call.writes
        reads[function, call.operation] += call.reads
    equal(stack.cloud.proxy.rule_failures, [], "calls without a rule for what they cost")
    check(0 < largest < 1024, "every item seen is below 1 KB, so that each write is one unit", largest)
    grants = requests["each tick", "dynamodb", "UpdateItem"]
    equal(grants, grants if claiming_ticks is None else claiming_ticks, "windows in which something was granted")
    per_event = sum(writes.values()) / events
    check(per_event <= most_write_units, f"at most {most_write_units} write units per event", per_event)
    logs = {f: [now - then for now, then in zip(reports(stack.logs(f)), logged.get(f, (0, 0, 0)), strict=True)] for f in MOVERS}
    return {
        "events": events,
        "write_units_per_event": per_event,
        "read_units_per_event": sum(reads.values()) / events,
        "largest_item_bytes": largest,
        "write_units": {f"{function} {operation}": value for (function, operation), value in sorted(writes.items()) if value},
        "read_units": {f"{function} {operation}": value for (function, operation), value in sorted(reads.items()) if value},
        "requests": {" ".join(each): count for each, count in sorted(requests.items()) if each[0] != "each tick"},
        "ticks": {
            "all": ticks,
            "claiming": grants,
            "requests": {" ".join(each[1:]): count for each, count in sorted(requests.items()) if each[0] == "each tick"},
            "read_units": tick_reads,
            "write_units": tick_writes,
        },
        "sqs": {"sent by the functions": sent, **(queues or {})},
        "invocations": {function: count for function, (count, _, _) in logs.items()},
        "seconds": {function: seconds for function, (_, seconds, _) in logs.items()},
        "log_bytes": {function: size for function, (_, _, size) in logs.items()},
        "memory_mb": memory(stack),
    }


def memory(stack):
    """MB of the functions of a stack, of which all movers have the same."""
    functions = stack.cloud.client("lambda")
    return functions.get_function_configuration(FunctionName=stack.functions["ingest"])["MemorySize"]


def per_event(counts):
    """What is paid for. The ticks are in it, so each of them must have been for these events."""
    events, ticks = counts["events"], counts["ticks"]
    equal(ticks["all"], ticks["claiming"], "ticks, and those that claimed something")
    equal(counts["invocations"]["schedule"], ticks["all"], "invocations of the schedule function, and ticks")
    amounts = {
        "DynamoDB write units": sum(counts["write_units"].values()) + ticks["write_units"],
        "DynamoDB read units": sum(counts["read_units"].values()) + ticks["read_units"],
        "SQS requests": sum(counts["sqs"].values()),
        "Lambda requests": sum(counts["invocations"].values()),
        "Lambda GB-seconds": sum(counts["seconds"].values()) * counts["memory_mb"] / 1024,
        "CloudWatch Logs GB": sum(counts["log_bytes"].values()) / 1e9,
    }
    return {what: amount / events for what, amount in amounts.items()}


def dollars(counts):
    """For a million events, by what is paid for."""
    return {what: amount * PRICES[what] for what, amount in per_event(counts).items()}


def units(counts, *steps):
    return sum(counts["write_units"].get(step, 0) for step in steps)


def lines(counts):
    """What each row of the table says of one column, from the top."""
    events, ticks, amounts, paid = counts["events"], counts["ticks"], per_event(counts), dollars(counts)
    made = collections.Counter()
    for name, count in counts["requests"].items():
        made[name.split()[1]] += count / events
    made["dynamodb"] += sum(ticks["requests"].values()) / events
    yield "events counted", f"{events:,}"
    yield "events per call of ingest", f"{events / counts['invocations']['ingest']:.0f}"
    yield "**requests per event**", ""
    yield "DynamoDB", f"{made['dynamodb']:.3f}"
    yield "Step Functions: StartExecution", f"{made['states']:.3f}"
    yield "Lambda: invocations", f"{amounts['Lambda requests']:.3f}"
    for kind in ("sent by S3 and EventBridge", "sent by the functions", "received for Lambda", "deleted for Lambda"):
        yield f"SQS: {kind}", f"{counts['sqs'][kind] / events:.3f}"
    yield "**units per event**", ""
    yield "write units: insert", f"{units(counts, 'ingest BatchExecuteStatement') / events:.3f}"
    yield "write units: grant", f"{(units(counts, 'ingest UpdateItem') + ticks['write_units']) / events:.3f}"
    yield "write units: claim", f"{units(counts, 'schedule BatchExecuteStatement') / events:.3f}"
    completions = (f"complete {operation}" for operation in ("BatchExecuteStatement", "PutItem", "DeleteItem"))
    yield "write units: receipt and deletion", f"{units(counts, *completions) / events:.3f}"
    yield "write units, in all", f"{amounts['DynamoDB write units']:.3f}"
    yield "read units", f"{amounts['DynamoDB read units']:.3f}"
    yield "Lambda: ms", f"{sum(counts['seconds'].values()) / events * 1000:.1f}"
    yield "logs: bytes", f"{amounts['CloudWatch Logs GB'] * 1e9:.0f}"
    yield "**dollars per million events**", ""
    for what, amount in paid.items():
        yield what, f"{amount:.2f}"
    yield "**Daybook**", f"**{sum(paid.values()):.2f}**"


def table(columns):
    """Markdown: a column for each of these counts, by its name."""
    each = {name: dict(lines(counts)) for name, counts in columns.items()}
    rows = list(next(iter(each.values())))
    shown = [["", *each], *([row, *(column[row] for column in each.values())] for row in rows)]
    found = ["|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|" for cells in shown]
    return "\n".join([found[0], "|---" * (len(each) + 1) + "|", *found[1:]])
