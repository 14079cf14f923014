"""What reads and writes of the ledger cost, by the rules that DynamoDB documents (Developer Guide: "Using Global Secondary Indexes",
"DynamoDB read and write operations"), from the request and its answer. Standard library only.

ministack leaves the index out of what it says of a batch of statements (docs/emulators.md), so those are counted here. What it says
of single items counts the index, which the contract suite checks; that is taken as it is."""

import re

UNIT = 1024

# The key of the index. A write that changes it deletes one entry and puts another.
INDEX_KEY = ("status_shard", "due_at")


def units(size):
    return max(1, -(-size // UNIT))


def size_of(item):
    """Bytes of an item, as "DynamoDB item sizes and formats" counts them, rounded up where it is vague."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value):
    [(kind, inner)] = value.items()
    match kind:
        case "S":
            return len(inner.encode())
        case "N":
            return len(inner) // 2 + 2
        case "B":
            return len(inner) * 3 // 4
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + value_size(each) for each in inner)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_size(each) for name, each in inner.items())
    raise ValueError(f"no rule for a value of type {kind}")


def of_statement(statement, answer):
    """Write units of one statement of a BatchExecuteStatement, and the size of the item as far as it is seen."""
    text = statement["Statement"]
    refused = answer.get("Error", {}).get("Code")
    if refused:
        # "If a conditional write fails, DynamoDB still consumes write units", by the size of the item that is there.
        there = answer.get("Item") or answer["Error"].get("Item") or {}
        consumed = refused in ("ConditionalCheckFailed", "DuplicateItem", "TransactionConflict")
        return (units(size_of(there)) if consumed else 0), size_of(there)
    if text.startswith("INSERT"):
        names = re.findall(r"'(\w+)'\s*:\s*\?", text)
        item = dict(zip(names, statement["Parameters"], strict=True))
        size = size_of(item)
        return units(size) + (1 if INDEX_KEY[0] in item else 0), size
    if text.startswith("UPDATE"):
        size = size_of(answer.get("Item", {}))
        moved = any(f'SET "{name}"' in text for name in INDEX_KEY)
        return units(size) + (2 if moved else 0), size
    if text.startswith("DELETE"):
        # Nothing shows the row; the largest one that was written is checked to be below a unit. And its entry in the index.
        return 2, 0
    raise ValueError(f"no rule for the statement {text}")


def consumed(capacity):
    """Write units and read units of a ConsumedCapacity, which is one or a list of them. An answer does not say which kind it is."""
    if capacity is None:
        return 0.0
    each = capacity if isinstance(capacity, list) else [capacity]
    return sum(one.get("CapacityUnits", 0.0) for one in each)


WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchExecuteStatement")
READS = ("GetItem", "Query", "Scan")
# They ask about tables, not for items.
FREE = ("DescribeTable",)


def of(operation, request, answer, status):
    """`(write units, read units, largest item seen)` of one DynamoDB call."""
    if operation == "BatchExecuteStatement" and status == 200:
        each = [of_statement(*pair) for pair in zip(request["Statements"], answer["Responses"], strict=True)]
        return sum(cost for cost, _ in each), 0.0, max(size for _, size in each)
    if operation in WRITES:
        if status == 200:
            return consumed(answer.get("ConsumedCapacity")), 0.0, size_of(request.get("Item", {}))
        failed = answer.get("__type", "").endswith("ConditionalCheckFailedException")
        return (1.0 if failed else 0.0), 0.0, 0
    if operation == "BatchGetItem" and status == 200:
        # ministack leaves out keys of which there is no item; DynamoDB charges them ("If you perform a read operation on an item that
        # does not exist, DynamoDB still consumes read throughput"). No item here is above the 4 KB of a unit.
        asked = request["RequestItems"].values()
        return 0.0, sum(len(one["Keys"]) * (1.0 if one.get("ConsistentRead") else 0.5) for one in asked), 0
    if operation in FREE:
        return 0.0, 0.0, 0
    if operation in READS:
        return 0.0, consumed(answer.get("ConsumedCapacity")), 0
    raise ValueError(f"no rule for {operation}")
