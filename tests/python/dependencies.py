"""Holds the packages of `cargo metadata` on stdin to deny.toml: licences, duplicate versions, sources."""

import json
import re
import sys
import tomllib
from collections import defaultdict


def satisfied(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences. `A/B` is the old spelling of `A OR B`."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def term():
        if peek() == "(":
            take()
            met = either()
            if take() != ")":
                raise ValueError(expression)
            return met
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in allowed

    def both():
        met = term()
        while peek() == "AND":
            take()
            met = term() and met
        return met

    def either():
        met = both()
        while peek() == "OR":
            take()
            met = both() or met
        return met

    met = either()
    if peek() is not None:
        raise ValueError(expression)
    return met


def main():
    with open(sys.argv[1], "rb") as file:
        rules = tomllib.load(file)
    packages = [package for package in json.load(sys.stdin)["packages"] if package["source"]]
    if not packages:
        sys.exit("no dependency was found: the check is blind")
    allowed = set(rules["licenses"]["allow"])
    skipped = {entry["crate"] for entry in rules["bans"]["skip"]}
    versions = defaultdict(set)
    problems = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        versions[package["name"]].add(package["version"])
        licence = package["license"]
        if licence is None or not satisfied(licence, allowed):
            problems.append(f"{name}: licence {licence} is not allowed")
        if not package["source"].startswith("registry+"):
            problems.append(f"{name}: comes from {package['source']}")
    several = {name for name, found in versions.items() if len(found) > 1}
    for name in sorted(several - skipped):
        problems.append(f"{name}: in versions {', '.join(sorted(versions[name]))}")
    for name in sorted(skipped - several):
        problems.append(f"{name}: skipped in {sys.argv[1]}, but there is only one version")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(packages)} dependencies: {len(problems)} problems; {len(several)} crates in more than one version; "
          "advisories not looked at (cargo deny check advisories)")
    sys.exit(1 if problems else 0)


main()
