"""All mutants of ledger, manager and reconciler in one build. Started by tests/mutants; docs/mutation.md says what it is for.

cargo-mutants says what the mutants are. Here each becomes a copy of the body of its function, in a copy of the tree, and
DAYBOOK_MUTANT chooses one when the tests run. So the tree is compiled once and not once for each. Standard library only.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

CRATES = ("ledger", "manager", "reconciler")
WORK = pathlib.Path("target/mutants").absolute()
TREE = WORK / "tree"
JOBS = 2
# A test that takes longer by itself is left out: every mutant that it reaches would wait for it.
SLOWEST_SECONDS = 20
# A run that takes this much longer than without a mutant, and not less than this, has been stopped by the mutant.
TIMES_LONGER, LEAST_SECONDS = 20, 15
MEMORY = 8 << 30

# Tests that start a program with an environment of their own still tell it the mutant.
ENVIRONMENT = (
    ".env_clear()",
    """.env_clear().envs(std::env::vars().filter(|(name, _)| name.starts_with("DAYBOOK_MUTANT") || name == "RUST_MIN_STACK"))""",
)

# Put at the end of the crate that all others use. A number is noted once per process, in a file of its own.
CHOICE = """
/// The mutant that this process runs, if it is one of these; and a note that they were reached.
#[allow(warnings)]
pub fn mutant(these: std::ops::RangeInclusive<u32>) -> u32 {
    use std::io::Write;
    use std::sync::{Mutex, OnceLock};
    static CHOSEN: OnceLock<u32> = OnceLock::new();
    static SEEN: OnceLock<Option<Mutex<(std::collections::BTreeSet<u32>, std::fs::File)>>> = OnceLock::new();
    let chosen = *CHOSEN.get_or_init(|| {
        std::env::var("DAYBOOK_MUTANT").map_or(u32::MAX, |number| number.parse().unwrap())
    });
    let seen = SEEN.get_or_init(|| {
        let folder = std::env::var_os("DAYBOOK_MUTANTS_SEEN")?;
        let file = std::path::Path::new(&folder).join(std::process::id().to_string());
        Some(Mutex::new((Default::default(), std::fs::File::create(file).unwrap())))
    });
    if let Some(seen) = seen {
        let mut seen = seen.lock().unwrap();
        if seen.0.insert(*these.start()) {
            writeln!(seen.1, "{}", these.start()).unwrap();
        }
    }
    if these.contains(&chosen) { chosen } else { u32::MAX }
}
"""


class Mutant:
    """One change, by offsets into the source of its file."""

    def __init__(self, listed, text):
        lines = [0]
        for line in text.split("\n"):
            lines.append(lines[-1] + len(line) + 1)
        offset = lambda place: lines[place["line"] - 1] + place["column"] - 1
        ends = lambda span: (offset(span["start"]), offset(span["end"]))
        self.name, self.file, self.replacement = listed["name"], listed["file"], listed["replacement"]
        self.start, self.end = ends(listed["span"])
        function = listed["function"] or {}
        self.function = ends(function["span"]) if function else None
        # Copies of a body that is behind an `impl` type would be of several types, and a constant cannot be chosen at run time.
        self.alone = not function or "impl " in (function["return_type"] or "")
        self.body, self.number = None, None

    def key(self, text):
        """The same for the same change of the same function, wherever in its file that is."""
        start, end = self.function
        function = hashlib.sha256(text[start:end].encode()).hexdigest()[:12]
        return f"{self.file} {function} {self.start - start} {self.end - start} {self.replacement}"


def listed():
    """All mutants in the order of the sources, those of one function side by side and numbered; and the sources."""
    globs = [part for crate in CRATES for part in ("-f", f"{crate}/src/**")]
    found = subprocess.run(
        ["cargo", "mutants", "--workspace", "--list", "--json", *globs], check=True, stdout=subprocess.PIPE
    )
    entries = json.loads(found.stdout)
    sources = {entry["file"]: pathlib.Path(entry["file"]).read_text() for entry in entries}
    mutants = [Mutant(entry, sources[entry["file"]]) for entry in entries]
    outer = collections.defaultdict(list)
    for mutant in mutants:
        if mutant.function:
            outer[mutant.file].append(mutant.function)
    for mutant in mutants:
        if mutant.alone:
            continue
        # Of functions in functions the outermost is copied.
        inside = [each for each in outer[mutant.file] if each[0] <= mutant.start and mutant.end <= each[1]]
        mutant.function = min(inside)
        mutant.body = body(sources[mutant.file], *mutant.function)
        assert mutant.body[0] <= mutant.start and mutant.end <= mutant.body[1], mutant.name
    mutants.sort(key=lambda mutant: (mutant.file, mutant.function or (0, 0), mutant.start, mutant.name))
    for number, mutant in enumerate(mutants):
        mutant.number = number
    return mutants, sources


def body(text, start, end):
    """What is between the braces of this function: the first brace that is in no parentheses, brackets or comment."""
    depth, at = 0, start
    while at < end:
        if text.startswith("//", at):
            at = text.index("\n", at)
        elif text[at] in "([":
            depth += 1
        elif text[at] in ")]":
            depth -= 1
        elif text[at] == "{" and depth == 0:
            return at + 1, end - 1
        at += 1
    raise ValueError(f"no body in {text[start:end]}")


def by_function(mutants):
    """The mutants of a file that are in the build, by the body that they change, and the first and last number of each."""
    found = collections.defaultdict(list)
    for mutant in mutants:
        if not mutant.alone:
            found[mutant.body].append(mutant)
    return sorted(found.items())


def mutated(text, mutants, left_out):
    """A file with all its mutants but these, and for each the lines where it is."""
    parts, at, line, places = [], 0, 1, []

    def add(part):
        nonlocal line
        parts.append(part)
        line += part.count("\n")

    add("#![allow(warnings)] " if re.search(r"/src/(lib|bin/\w+)\.rs$", mutants[0].file) else "")
    for (start, end), copies in by_function(mutants):
        numbers = [copy.number for copy in copies]
        add(f"{text[at:start]} match daybook_schema::mutant({min(numbers)}..={max(numbers)}) {{\n")
        for copy in copies:
            if copy.number not in left_out:
                first = line
                add(f"{copy.number} => {{{text[start:copy.start]}{copy.replacement}{text[copy.end:end]}\n}}\n")
                places.append((first, line - 1, copy.number))
        add(f"_ => {{{text[start:end]}\n}}\n}} ")
        at = end
    add(text[at:])
    return "".join(parts), places


def write(path, content):
    """Only if it is new, so that cargo builds only what is."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def plant(mutants, sources, left_out):
    """Writes the tree with the mutants in it; returns where they are, by file."""
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True, stdout=subprocess.PIPE, text=True)
    files = [name for name in files.stdout.splitlines() if pathlib.Path(name).is_file()]
    for old in TREE.rglob("*.rs"):
        if str(old.relative_to(TREE)) not in files:
            old.unlink()
    places = {}
    for name in files:
        content = pathlib.Path(name).read_bytes()
        if name in sources:
            text, places[name] = mutated(sources[name], [each for each in mutants if each.file == name], left_out)
            content = text.encode()
        elif name == "schema/src/lib.rs":
            content += CHOICE.encode()
        elif name.endswith(".rs"):
            content = content.replace(*(text.encode() for text in ENVIRONMENT))
        write(TREE / name, content)
        os.chmod(TREE / name, os.stat(name).st_mode)
    return places


def cargo(*arguments):
    """What cargo says, one JSON object per line."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(WORK / "build"), "CARGO_INCREMENTAL": "1"}
    command = ["cargo", *arguments, f"-j{JOBS}", "--message-format", "json"]
    done = subprocess.run(command, cwd=TREE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done


def spans_of(message):
    """Where a message points to, what matters most first: its own spans, where their macros were called, its notes."""
    for span in sorted(message["spans"], key=lambda span: not span["is_primary"]):
        while span:
            yield span["file_name"], span["line_start"]
            span = (span["expansion"] or {}).get("span")
    for child in message["children"]:
        yield from spans_of(child)


def plant_what_compiles(mutants, sources):
    """Takes out what the compiler refuses until it refuses nothing. Returns the numbers of what was taken out."""
    kept = WORK / "unviable.json"
    known = set(json.loads(kept.read_text())) if kept.exists() else set()
    key = {each.number: each.key(sources[each.file]) for each in mutants if not each.alone}
    while True:
        left_out = {number for number in key if key[number] in known}
        places = plant(mutants, sources, left_out)
        refused, unplaced = set(), []
        for crate in CRATES:
            features = [] if crate == "ledger" else ["--all-features"]
            messages, done = cargo("check", "-p", f"daybook-{crate}", "--bins", "--lib", *features)
            for message in messages:
                message = message.get("message") or {}
                if not isinstance(message, dict) or message.get("level") != "error" or not message["spans"]:
                    continue
                for name, line in spans_of(message):
                    hit = [number for first, last, number in places.get(name, []) if first <= line <= last]
                    if hit:
                        refused.update(hit)
                        break
                else:
                    unplaced.append(message["rendered"])
            if done.returncode:
                break
        if not refused:
            if done.returncode:
                sys.exit("".join(unplaced[:3]) or done.stderr)
            return left_out
        print(f"{len(refused)} mutants more do not compile", flush=True)
        known |= {key[number] for number in refused}
        kept.write_text(json.dumps(sorted(known), indent=0))


class Test:
    """One test: how to run it by itself, how long that takes, and the functions that it reaches."""

    def __init__(self, binary, folder, name, seconds=0.0, seen=()):
        self.binary, self.folder, self.name, self.seconds, self.seen = binary, folder, name, seconds, set(seen)


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_STACK, (256 << 20, 256 << 20))


# A folder for the temporary files of each job: what a killed test leaves is removed with it.
job = threading.local()


def run(binary, folder, names, seconds, **variables):
    """Runs these tests of a binary: "passed", "failed" or "timed out"."""
    if not hasattr(job, "folder"):
        job.folder = WORK / "tmp" / str(threading.get_ident())
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    environment = {
        **os.environ,
        "TMPDIR": str(job.folder),
        "RUST_MIN_STACK": str(64 << 20),
        "CARGO_MANIFEST_DIR": str(folder),
        "INSTA_WORKSPACE_ROOT": str(TREE),
        "INSTA_UPDATE": "no",
        **variables,
    }
    command = [binary, "--exact", "--test-threads", "2", *names]
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True, preexec_fn=limits
    )
    try:
        return "failed" if child.wait(seconds) else "passed"
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        # And what it has started.
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def measure(test):
    """Runs a test by itself and without a mutant. What fails so, or is too slow, is not used, and told."""
    seen = WORK / "seen" / str(threading.get_ident())
    shutil.rmtree(seen, ignore_errors=True)
    seen.mkdir(parents=True)
    began = time.monotonic()
    ended = run(test.binary, test.folder, [test.name], SLOWEST_SECONDS, DAYBOOK_MUTANTS_SEEN=str(seen))
    test.seconds = time.monotonic() - began
    test.seen = {int(line) for file in seen.iterdir() for line in file.read_text().split()}
    return ended


def build_tests(targets):
    chosen = ["--lib", *(f"--test={target}" for target in targets)] if targets else []
    messages, done = cargo("test", "--workspace", "--no-run", "--exclude", "daybook-model", *chosen)
    if done.returncode:
        sys.exit("".join(each["message"]["rendered"] for each in messages if each.get("message", {}).get("level") == "error"))
    tests = []
    for message in messages:
        if message.get("executable") and message["profile"]["test"]:
            binary, folder = message["executable"], pathlib.Path(message["manifest_path"]).parent
            names = subprocess.run([binary, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
            tests += [Test(binary, folder, line[:-6]) for line in names.splitlines() if line.endswith(": test")]
    return tests


def measured(tests, pool):
    """The tests that can be used. A binary that is as it was is not measured again."""
    kept = WORK / "tests.json"
    before = json.loads(kept.read_text()) if kept.exists() else {}
    stamp = lambda test: f"{test.binary} {os.stat(test.binary).st_mtime_ns} {test.name}"
    new = [test for test in tests if stamp(test) not in before]
    print(f"{len(tests)} tests, {len(new)} of them to measure", flush=True)
    for test, ended in zip(new, pool.map(measure, new)):
        before[stamp(test)] = [ended, test.seconds, sorted(test.seen)]
    kept.write_text(json.dumps(before))
    used = []
    for test in tests:
        ended, test.seconds, seen = before[stamp(test)]
        test.seen = set(seen)
        if ended == "passed":
            used.append(test)
        else:
            print(f"left out, because it {ended} without a mutant: {pathlib.Path(test.binary).name} {test.name}")
    return used


def judge(mutant, tests, good, seconds):
    """Runs the tests that reach a mutant, in growing groups, until one of them notices: at most as many as take so long without
    a mutant. `good` counts what each has noticed in the same file before."""
    reaching = sorted(tests, key=lambda test: (-good[test.name], test.seconds))
    tests, total = [], 0.0
    for test in reaching:
        total += test.seconds
        if total <= seconds or not tests:
            tests.append(test)
    budget, all_tests = 0.3, len(tests)
    while tests:
        group, total = [], 0.0
        while tests and (not group or total + tests[0].seconds <= budget):
            group.append(tests.pop(0))
            total += group[-1].seconds
        budget *= 3
        binaries = collections.defaultdict(list)
        for test in group:
            binaries[test.binary, test.folder].append(test)
        for (binary, folder), some in binaries.items():
            limit = max(LEAST_SECONDS, TIMES_LONGER * sum(test.seconds for test in some))
            ended = run(binary, folder, [test.name for test in some], limit, DAYBOOK_MUTANT=str(mutant.number))
            if ended != "passed":
                for test in some:
                    good[test.name] += 1
                names = [test.name for test in some]
                return {"failed": "caught", "timed out": "timed out"}[ended], f"{pathlib.Path(binary).name} {' '.join(names[:3])}"
    return "survived", f"{all_tests} of {len(reaching)} tests"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="ask again for what survived")
    parser.add_argument("--seconds", type=float, default=20, help="of tests per mutant, the fastest first, as long as none notices")
    parser.add_argument("--only", default="", help="only mutants whose name contains this")
    parser.add_argument("--tests", nargs="*", default=[], help="ask only these test targets, and unit tests")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    pool = concurrent.futures.ThreadPoolExecutor(JOBS)
    mutants, sources = listed()
    unviable = plant_what_compiles(mutants, sources)
    tests = measured(build_tests(arguments.tests), pool)

    kept = WORK / "results.jsonl"
    results = {}
    good, writing = collections.defaultdict(collections.Counter), threading.Lock()
    if kept.exists():
        for line in kept.read_text().splitlines():
            result = json.loads(line)
            results[result["key"]] = result["ended"]
            if result["ended"] != "survived":
                good[result["name"].split(":")[0]].update(result["by"].split()[1:])
    first = {}
    for file in sources:
        for _, copies in by_function([each for each in mutants if each.file == file]):
            first.update({copy.number: min(each.number for each in copies) for copy in copies})
    reach = collections.defaultdict(list)
    for test in tests:
        for number in test.seen:
            reach[number].append(test)
    key = {each.number: each.key(sources[each.file]) for each in mutants if not each.alone}
    done_before = ("caught", "timed out") if arguments.again else ("caught", "timed out", "survived")
    waiting = [
        each
        for each in mutants
        if not each.alone
        and each.number not in unviable
        and arguments.only in each.name
        and results.get(key[each.number]) not in done_before
    ]
    print(f"{len(mutants)} mutants, {len(unviable)} do not compile, {len(waiting)} to run", flush=True)

    def ask(mutant):
        ended, by = judge(mutant, reach[first[mutant.number]], good[mutant.file], arguments.seconds)
        line = {"key": key[mutant.number], "name": mutant.name, "ended": ended, "by": by}
        with writing, kept.open("a") as out:
            out.write(json.dumps(line) + "\n")
            results[line["key"]] = ended
        if ended == "survived":
            print(f"survived {by}: {mutant.name}", flush=True)

    for _ in pool.map(ask, waiting):
        pass
    ends = collections.Counter(results.get(key[number], "not run") for number in key if number not in unviable)
    alone = [each.name for each in mutants if each.alone]
    print(f"{len(mutants)} mutants: {len(unviable)} do not compile, {dict(ends)}, {len(alone)} only by cargo mutants itself:")
    print(*alone, sep="\n")


if __name__ == "__main__":
    main()
