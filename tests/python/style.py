"""Holds documents and help texts to a list of words, and links between documents to what they point at.

Help is what clap prints of doc comments, so it is read from the sources: the `///` lines above and inside of every struct and enum that
derives Args, Parser, Subcommand or ValueEnum, and strings of `about` and `help`. That needs no build, and leaves comments on private code
out. Of documents, fenced blocks are left out, because they show commands and what programs printed.

The words are in tests/style.words.txt, what is allowed all the same in tests/style.exceptions.txt, each with its reason.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = ROOT / "tests/style.words.txt"
EXCEPTIONS = ROOT / "tests/style.exceptions.txt"
HELP = re.compile(r"#\[derive\([^)]*\b(Args|Parser|Subcommand|ValueEnum)\b")
THERE_IS = re.compile(r"\b(there|where|here)\s+(certainly\s+)?(is|are)\s+no\b", re.IGNORECASE)


def documents():
    """Every document, as a path relative to the root."""
    top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md", "CHANGELOG.md", "deploy/README.md", "deploy/runbook.md"]
    return [Path(name) for name in top] + sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md"))


def entries(path, separator, fields):
    """The lines of a list that are neither empty nor comments, split into their fields."""
    found = []
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            parts = [part.strip() for part in re.split(separator, line, maxsplit=fields - 1)]
            if len(parts) != fields or not all(parts):
                sys.exit(f"{path.relative_to(ROOT)}: {line}: not {fields} fields")
            found.append(parts)
    return found


def words():
    """Each phrase as an expression, with what to write instead."""
    return [(re.compile(rf"\b(?:{phrase})(?!\w)", re.IGNORECASE), use) for phrase, use, _ in entries(WORDS, r"\s\|\s", 3)]


def prose(text):
    """The numbered lines of a document outside of fenced blocks, without inline code and the addresses of links."""
    for number, line in outside_fences(text):
        yield number, re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "`code`", line))


def outside_fences(text):
    """The numbered lines of a document, without fenced blocks."""
    fence = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fence = not fence
        elif not fence:
            yield number, line


def help_lines(text):
    """The numbered lines of a source that clap prints: those of items that derive one of its traits."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        if not HELP.search(line):
            continue
        first = start
        while first and lines[first - 1].startswith(("///", "#")):
            first -= 1
        for number in range(first, len(lines)):
            shown = re.match(r"\s*///(.*)", lines[number]) or re.search(r'\b(?:about|help)\s*=\s*"(.*)"', lines[number])
            if shown:
                yield number + 1, re.sub(r"`[^`]*`", "`code`", shown.group(1))
            if lines[number].startswith("}") or re.match(r"pub(\(\w+\))? (struct|enum).*[;}]$", lines[number]):
                break


def against(lines, phrases):
    """What those lines say that they should say otherwise: number, found phrase, use instead, text. A phrase may go over a line's end."""
    lines = [(number, line.strip()) for number, line in lines]
    found = []
    for index, (number, line) in enumerate(lines):
        follows = index + 1 < len(lines) and lines[index + 1][0] == number + 1
        text = f"{line} {lines[index + 1][1]}" if follows else line
        before = f"{lines[index - 1][1]} " if index and lines[index - 1][0] == number - 1 else ""
        # What the line before belongs to is decided with it, so that "there / is no" is not taken for "is no".
        whole = THERE_IS.sub(lambda match: "x" * len(match.group()), before + text)
        starts = range(len(before), len(before) + len(line))
        found += [(number, match.group(), use, text)
                  for expression, use in phrases
                  for match in expression.finditer(whole)
                  if match.start() in starts]
    return found


def anchors(text):
    """The anchors of a document's headings, as GitHub makes them."""
    found = set()
    for _, line in outside_fences(text):
        heading = re.match(r"#{1,6}\s+(.*)", line)
        if heading:
            words_only = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower())
            anchor = base = words_only.strip().replace(" ", "-")
            count = 0
            while anchor in found:
                count += 1
                anchor = f"{base}-{count}"
            found.add(anchor)
    return found


def broken_links(path, text):
    """The relative links of a document that point at no file, or at no heading."""
    problems = []
    for number, line in outside_fences(text):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (ROOT / path.parent / name) if name else ROOT / path
            if not file.exists():
                problems.append(f"{path}:{number}: {target}: no such file")
            elif anchor and anchor not in anchors(text if not name else file.read_text()):
                problems.append(f"{path}:{number}: {target}: no such heading")
    return problems


def self_test(phrases):
    """Each check finds what is planted for it, and nothing in text that is as it should be."""
    bad = ["It can be gone on with.", "The value is no key.", "We told the queue.", "Mend it.", "What came of it.", "It is gone\non with.", "Keys are chosen by strangers."]
    for sentence in bad:
        assert against(prose(sentence), phrases), sentence
    for sentence in ["There is no queue.", "There\nis no queue.", "They are told\napart.", "It is no longer there.", "Resume it.", "```\nMend it.\n```", "`told`"]:
        assert not against(prose(sentence), phrases), sentence
    source = "/// Mend it\n#[derive(Args)]\npub struct A {\n    /// Tell it\n    a: u8,\n}\n\n/// Mended\nfn private() {}\n"
    assert [number for number, *_ in against(help_lines(source), phrases)] == [1, 4]
    here = Path("README.md")
    assert not broken_links(here, "# One two\n[a](#one-two) [b](docs/README.md#documentation)")
    assert len(broken_links(here, "[a](docs/none.md) [b](#none) [c](docs/README.md#none)")) == 3


def main():
    phrases = words()
    self_test(phrases)
    problems, found, helped = [], [], 0
    for path in documents():
        text = (ROOT / path).read_text()
        problems += broken_links(path, text)
        found += [(path, *hit) for hit in against(prose(text), phrases)]
    for path in sorted((ROOT / "cli/src").rglob("*.rs")):
        lines = list(help_lines(path.read_text()))
        helped += len(lines)
        found += [(path.relative_to(ROOT), *hit) for hit in against(lines, phrases)]
    if helped < 100:
        sys.exit(f"only {helped} lines of help were found: the check is blind")
    exceptions = entries(EXCEPTIONS, r":\s", 3)
    used = set()
    for path, number, phrase, use, line in found:
        allowed = next((entry for entry in (tuple(entry) for entry in exceptions)
                        if entry[0] == path.as_posix() and entry[1].lower() in line.lower() and phrase.lower() in entry[1].lower()), None)
        if allowed:
            used.add(allowed)
        else:
            problems.append(f"{path}:{number}: {phrase!r}: write {use}: {line}")
    problems += [f"{EXCEPTIONS.relative_to(ROOT)}: {': '.join(entry)}: allows nothing" for entry in exceptions if tuple(entry) not in used]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(documents())} documents and {helped} lines of help: {len(problems)} problems, {len(used)} exceptions used")
    sys.exit(1 if problems else 0)


main()
