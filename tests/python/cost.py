"""What a million events cost, from what the functions of a stack asked AWS for while some passed through. Standard library only."""

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

# What a tick asks whether or not there is anything to do.
EACH_TICK = {"GetItem", "Query", "UpdateItem"}


def reports(lines):
    """Invocations, their seconds, and the bytes that they logged, from the lines of a function's log."""
    seconds = [int(found[1]) / 1000 for line in lines if (found := re.match(r"REPORT .*\tDuration: (\d+) ms", line))]
    return len(seconds), sum(seconds), sum(len(line.encode()) for line in lines)


def counted(stack, events, claiming_ticks, memory_mb, most_write_units=8.0):
    """All that passed, as JSON can hold it. `events` went through from upload to receipt, once each; so many ticks claimed some of
    them. None: ingest did, and ticks what it left."""
    requests, writes, reads = collections.Counter(), collections.Counter(), collections.Counter()
    largest, tick_reads, tick_writes, ticks = 0, 0.0, 0.0, 0
    logs = {function: reports(stack.logs(function)) for function in ("ingest", "schedule", "invoke", "complete")}
    for function, call in stack.calls():
        if function not in logs:
            continue
        # Of two that ask the budget at the same moment one is refused, and asks again.
        is_lost_race = function == "ingest" and call.operation == "UpdateItem" and str(call.failure) == "ConditionalCheckFailedException"
        check(call.status == 200 or is_lost_race, f"{call.operation} of {function} is answered", call.status, call.failure)
        largest = max(largest, call.largest)
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
    if claiming_ticks is None:
        claiming_ticks = grants
    equal(grants, claiming_ticks, "windows in which something was granted")
    per_event = sum(writes.values()) / events
    check(per_event <= most_write_units, f"at most {most_write_units} write units per event", per_event)
    return {
        "events": events,
        "write_units_per_event": per_event,
        "read_units_per_event": sum(reads.values()) / events,
        "largest_item_bytes": largest,
        "write_units": {f"{function} {operation}": value for (function, operation), value in sorted(writes.items()) if value},
        "read_units": {f"{function} {operation}": value for (function, operation), value in sorted(reads.items()) if value},
        "requests": {" ".join(each): count for each, count in sorted(requests.items()) if each[0] != "each tick"},
        "ticks": ticks,
        "claiming_ticks": claiming_ticks,
        "tick": {
            "requests": {" ".join(each[1:]): count / max(ticks, 1) for each, count in sorted(requests.items()) if each[0] == "each tick"},
            "read_units": tick_reads / max(ticks, 1),
            "write_units_if_it_claims": tick_writes / claiming_ticks if claiming_ticks else 0.0,
        },
        "invocations": {function: count for function, (count, _, _) in logs.items()},
        "seconds": {function: seconds for function, (_, seconds, _) in logs.items()},
        "log_bytes": {function: size for function, (_, _, size) in logs.items()},
        "memory_mb": memory_mb,
    }


def services(counts):
    """Requests per event by service, those that AWS makes by itself included."""
    events = counts["events"]
    made = collections.Counter()
    for name, count in counts["requests"].items():
        made[name.split()[1]] += count / events
    starts = sum(count for name, count in counts["requests"].items() if name.endswith(" StartExecution"))
    invocations = counts["invocations"]
    fed = sum(invocations[function] for function in ("ingest", "invoke", "complete")) / events
    return {
        "DynamoDB": made["dynamodb"],
        # S3's send for each event, and EventBridge's for each execution; a receive and a deletion for each invocation by a queue.
        "SQS": made["sqs"] + 1 + starts / events + 2 * fed,
        "Step Functions": made["states"],
        "Lambda": fed + counts["claiming_ticks"] / events,
    }


def per_million(counts):
    """`(what, per event, dollars per million events)`."""
    events, claiming = counts["events"], counts["claiming_ticks"]
    tick, invocations = counts["tick"], counts["invocations"]
    asked = services(counts)
    share = claiming / max(counts["ticks"], 1)

    def of_all(kind):
        return sum(value * (share if function == "schedule" else 1) for function, value in counts[kind].items()) / events

    check(invocations["schedule"] >= counts["ticks"] >= claiming, "the ticks are counted", counts)
    amounts = {
        "DynamoDB write units": counts["write_units_per_event"] + tick["write_units_if_it_claims"] * claiming / events,
        "DynamoDB read units": counts["read_units_per_event"] + tick["read_units"] * claiming / events,
        "SQS requests": asked["SQS"],
        "Lambda requests": asked["Lambda"],
        "Lambda GB-seconds": of_all("seconds") * counts["memory_mb"] / 1024,
        "CloudWatch Logs GB": of_all("log_bytes") / 1e9,
    }
    return [(what, amount, amount * PRICES[what]) for what, amount in amounts.items()]


def table(counts):
    """Markdown."""
    events = counts["events"]
    lines = ["| function | request | per event |", "|---|---|---|"]
    lines += [
        f"| {function} | {operation} ({service}) | {count / events:.3f} |"
        for (function, service, operation), count in ((name.split(), count) for name, count in counts["requests"].items())
    ]
    lines += ["", "| service | requests per event |", "|---|---|"]
    lines += [f"| {service} | {amount:.2f} |" for service, amount in services(counts).items()]
    lines += ["", "| step | write units per event |", "|---|---|"]
    lines += [f"| {step} | {value / events:.2f} |" for step, value in counts["write_units"].items()]
    lines += [f"| **sum** | **{counts['write_units_per_event']:.2f}** |"]
    tick = counts["tick"]
    asked = ", ".join(f"{count:.1f} {name.split()[1]}" for name, count in tick["requests"].items())
    claims = f", {tick['write_units_if_it_claims']:.0f} write unit if it claims" if counts["claiming_ticks"] else ""
    lines += ["", f"Each tick: {asked}; {tick['read_units']:.1f} read units{claims}."]
    lines += ["", "| for a million events | per event | price per million | dollars |", "|---|---|---|---|"]
    priced = per_million(counts)
    for what, amount, dollars in priced:
        shown = f"{amount * 1e9:.0f} bytes" if what.endswith("Logs GB") else f"{amount:.4f}"
        price = f"{PRICES[what] / 1e6:.2f} per GB" if what.endswith("Logs GB") else f"{PRICES[what]:.4g}"
        lines.append(f"| {what} | {shown} | {price} | {dollars:.2f} |")
    lines.append(f"| **Daybook** | | | **{sum(dollars for _, _, dollars in priced):.2f}** |")
    return "\n".join(lines)
