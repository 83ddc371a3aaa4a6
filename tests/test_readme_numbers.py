"""A measured number in a README is one of launch/RESULTS.md, for the same claim.

The rule. Numbers outside code are claims if they have decimals, thousands or a unit of time,
memory, rate, work or per cent, if they stand in a table, or if they have two digits and more in a
section that links to RESULTS.md. A claim must be in an entry of RESULTS.md that is linked in its
row of a table or, where the row links none, in its section; it may be rounded, or in another unit
of the same kind; a table may hold a decimal, or a number with a unit, no more often than its
entries do. What is no measurement is in SPECIFICATIONS, by phrase and with the reason.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "nitrogen_jax").glob("*/README.md")))

# A phrase of a page -> why its numbers are no measurements. "*" stands for anything within a line.
SPECIFICATIONS = {
    "Python 3.11 to 3.13": "what is supported, as setup.cfg says",
    "Python 3.11 has JAX 0.10.2; 3.12 and 3.13": "what is supported, as setup.cfg says",
    "driver 525 or newer": "what CUDA asks for",
    "580 or newer": "what CUDA asks for",
    "1.3 M parameters": "of the config, which its tests count",
    "494 M parameters": "of the config, which its tests count",
    "SigLIP 2": "a name",
    "SDL 1.2 and 2": "a name",
    "60 frames a second are best": "advice",
    "trained at about 60 Hz": "of the published labels",
    "25 | what the network reads and writes: 21 buttons, then 4 stick values": "gamepad.py",
    "24 | a count": "a way to count",
    "21 | the buttons alone: 17 with": "gamepad.py",
    "17 columns and 4 stick values": "gamepad.py",
    "20 | the paper's: 16 buttons * and 4 stick values": "sim/wrappers.py",
    "0.84, 0.96": "published of the original's extractor",
    "R2 0.84 and accuracy 0.96": "published of the original's extractor",
    "records of 2 seconds": "a format",
    "20 seconds (crf 20, a key frame every 16 pictures": "a format",
    "Some 25 frames of a video": "how the locator works",
    "ship (0.6 M": "of the network, which configs/parser_b0.py counts",
    "of 0.8 at most": "a limit in the code",
    "multiplies 18 rows": "of the network",
    "with 97 million weights 16 times": "of the network",
}

NUMBER = re.compile(
    r"(?<![\w.,/:+-])(?P<number>[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?)(?<=\d)(?![\w]|[.,]\d|-\w)"
)
_WORDS = {  # canonical unit, how much of it one is
    "ms": ("s", "0.001"),
    "s": ("s", "1"),
    "second": ("s", "1"),
    "seconds": ("s", "1"),
    "min": ("s", "60"),
    "minute": ("s", "60"),
    "minutes": ("s", "60"),
    "h": ("s", "3600"),
    "hour": ("s", "3600"),
    "hours": ("s", "3600"),
    "CPU-seconds": ("CPU-s", "1"),
    "CPU-minutes": ("CPU-s", "60"),
    "CPU minutes": ("CPU-s", "60"),
    "core-hours": ("CPU-s", "3600"),
    "KiB": ("B", str(2**10)),
    "MiB": ("B", str(2**20)),
    "GiB": ("B", str(2**30)),
    "MB": ("B", "1e6"),
    "GB": ("B", "1e9"),
    "TB": ("B", "1e12"),
    "GFLOP": ("FLOP", "1e9"),
    "TFLOP": ("FLOP", "1e12"),
    "GFLOP/s": ("FLOP/s", "1e9"),
    "Hz": ("Hz", "1"),
    "%": ("1", "0.01"),
    "times": ("times", "1"),
    "pixels": ("pixels", "1"),
    "map units": ("map units", "1"),
}
UNIT = re.compile(
    r"\s?(?P<unit>"
    + "|".join(re.escape(word) for word in sorted(_WORDS, key=len, reverse=True))
    + r"|(?P<rate>[a-z]+)(?: a second|/s| per second))(?!\w)"
)
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
LINK = re.compile(r"\]\((?:\.\./)*launch/RESULTS\.md#([a-z0-9-]+)\)|\]\(RESULTS\.md#([a-z0-9-]+)\)")


class Amount(NamedTuple):
    """A number as it is written, with its unit (canonical; "" where none is written)."""

    text: str
    value: Decimal  # as written
    unit: str
    scale: Decimal  # of the unit, in the canonical one
    written: str = ""  # the unit


class Claim(NamedTuple):
    """An amount of a page, and the entries of RESULTS.md that may hold it."""

    line: int
    amount: Amount
    span: tuple[int, int]  # in the line
    entries: tuple[str, ...]
    table: int  # the line at which its table begins; 0: it is in none


def load_results():
    spec = importlib.util.spec_from_file_location("results", ROOT / "launch" / "results.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module
    spec.loader.exec_module(module)
    return module


results = load_results()


# ---------------------------------------------------------------------------------------------
# Numbers of a text


def amounts(text: str) -> Iterator[tuple[Amount, tuple[int, int]]]:
    """Numbers of a line, with where they are."""
    for found in NUMBER.finditer(text):
        unit = UNIT.match(text, found.end())
        if unit is None:
            name, scale = "", "1"
        elif unit["rate"]:
            name, scale = f"{unit['rate']}/s", "1"
        else:
            name, scale = _WORDS[unit["unit"]]
        value = Decimal(found["number"].replace(",", ""))
        written = unit["unit"] if unit else ""
        yield Amount(found["number"], value, name, Decimal(scale), written), found.span()


def plain(line: str) -> str:
    """The line without code, dates and targets of links; nothing moves."""
    for pattern in (r"`[^`]*`", DATE.pattern, r"(?<=\])\([^)]*\)"):
        line = re.sub(pattern, lambda found: " " * len(found[0]), line)
    return line


def claims(text: str) -> list[Claim]:
    """All claims of a page."""
    sections: list[list[tuple[int, str]]] = [[]]
    fenced, blank, indented = False, True, False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        # Code by indentation follows an empty line.
        indented = line.startswith("    ") and (blank or indented)
        blank = not line.strip()
        if fenced or indented or line.startswith("```"):
            continue
        if line.startswith("#"):
            sections.append([])
        else:
            sections[-1].append((number, line))
    found = []
    for lines in sections:
        linked = linked_in("\n".join(line for _, line in lines))
        table = 0
        for number, line in lines:
            table = (table or number) if line.startswith("|") else 0
            entries = (table and linked_in(line)) or linked
            for amount, span in amounts(plain(line)):
                telling = "." in amount.text or "," in amount.text or amount.unit or table
                if telling or (linked and abs(amount.value) >= 10):
                    found.append(Claim(number, amount, span, entries, table))
    return found


def linked_in(text: str) -> tuple[str, ...]:
    """Names of the entries of RESULTS.md that a text links to."""
    return tuple(one or other for one, other in LINK.findall(text))


# ---------------------------------------------------------------------------------------------
# The comparison


def known(result) -> list[Amount]:
    """All amounts of an entry: its figures, and the conditions that it names."""
    texts = [result.what, result.command, result.machine]
    for figure in result.figures:
        texts += [figure.name, f"{figure.value} {figure.unit}"]
    return [amount for text in texts for amount, _ in amounts(DATE.sub(" ", text))]


def agree(claim: Amount, entry: Amount) -> bool:
    """Is the claim what the entry says, perhaps rounded?"""
    if claim.unit and entry.unit and claim.unit != entry.unit:
        return False
    value = entry.value
    if claim.unit and entry.unit:
        value = value * entry.scale / claim.scale
    options = [value] + ([100 * value] if claim.unit == "1" and not entry.unit else [])
    digits = claim.value.as_tuple()
    if len(str(abs(claim.value)).replace(".", "").strip("0")) < 2:
        return claim.value in options
    step = Decimal(1).scaleb(digits.exponent)
    rounded = {
        option.quantize(step, way) for option in options for way in (ROUND_HALF_UP, ROUND_HALF_DOWN)
    }
    return claim.value in rounded


def specified(lines: Sequence[str], claim: Claim) -> bool:
    """Does the number lie within a phrase that is a specification?"""
    return any(
        found.start() <= claim.span[0] < found.end()
        for phrase in SPECIFICATIONS
        for found in as_pattern(phrase).finditer(lines[claim.line - 1])
    )


def as_pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, phrase.split("*"))))


def unknown(page: str, text: str, entries: dict[str, list[Amount]]) -> list[str]:
    """What is wrong with a page, a line each."""
    lines, wrong = text.splitlines(), []
    used: Counter[tuple[int, Decimal]] = Counter()
    for claim in claims(text):
        if specified(lines, claim):
            continue
        missing = [name for name in claim.entries if name not in entries]
        if missing:
            wrong.append(f"{page}:{claim.line}: RESULTS.md has no entry {missing[0]}")
            continue
        said = [one for name in claim.entries for one in entries[name]]
        times = sum(agree(claim.amount, one) for one in said)
        if claim.table and ("." in claim.amount.text or claim.amount.unit):
            used[claim.table, claim.amount.value] += 1
        if times < max(1, used[claim.table, claim.amount.value]):
            where = ", ".join(claim.entries) or "none is linked in this section"
            wrong.append(
                f"{page}:{claim.line}: {claim.amount.text} {claim.amount.written}".rstrip()
                + (" is more often here than" if times else " is not")
                + f" in the entries ({where}): {lines[claim.line - 1].strip()[:90]}"
            )
    return wrong


@pytest.fixture(scope="module")
def entries() -> dict[str, list[Amount]]:
    return {result.name: known(result) for result in results.read_all()}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_measured_numbers_are_in_the_results(path, entries):
    wrong = unknown(str(path.relative_to(ROOT)), path.read_text(), entries)
    assert not wrong, "\n" + "\n".join(wrong)


def test_specifications_are_those_of_a_page():
    text = "\n".join(path.read_text() for path in PAGES)
    stale = [phrase for phrase in SPECIFICATIONS if not as_pattern(phrase).search(text)]
    assert stale == []


def sections(text: str) -> Iterator[str]:
    """The page in pieces that begin with a heading."""
    yield from re.split(r"(?m)^(?=#{1,6} )", text)


def test_numbers_that_are_changed_are_noticed(entries):
    """Each claim of three digits and more with its last one changed: few agree by chance."""
    changed, missed = 0, []
    for path in PAGES:
        for text in sections(path.read_text()):
            lines = text.splitlines()
            for claim in claims(text):
                if len(claim.amount.value.as_tuple().digits) < 3 or specified(lines, claim):
                    continue
                line, last = lines[claim.line - 1], claim.span[1] - 1
                other = f"{line[:last]}{(int(line[last]) + 5) % 10}{line[last + 1 :]}"
                page = "\n".join([*lines[: claim.line - 1], other, *lines[claim.line :]])
                changed += 1
                if not unknown(str(path.relative_to(ROOT)), page, entries):
                    missed.append(f"{path.relative_to(ROOT)}: {other}")
    assert changed > 100
    assert len(missed) < 0.1 * changed, "\n".join(missed)


ENTRIES = {
    "speed": [
        *(amount for amount, _ in amounts("12.34 ms")),
        *(amount for amount, _ in amounts("81 % of 44, 1,059 chunks/s, 10.9 of 15.8, 1.5 hours")),
    ]
}


@pytest.mark.parametrize(
    "said",
    [
        *(
            "12.34 ms",
            "12.3 ms",
            "12 ms",
            "0.01234 s",
            "81 %",
            "1,059 chunks a second",
            "90 minutes",
        ),
        *("10.9 GiB", "5 games", "`7.7` in code", "2026-11-30", "H.264 at 1080p60", "1e-4"),
    ],
)
def test_what_is_in_the_entry_is_fine(said):
    assert (
        unknown("page", f"# A\n\nIt took {said} ([how](launch/RESULTS.md#speed)).", ENTRIES) == []
    )


@pytest.mark.parametrize(
    "said",
    [
        *("12.35 ms", "12.4 ms", "13 ms", "12.34 s", "0.012 ms", "18 %", "1,095 chunks/s"),
        *(".97", "2 hours", "45 games", "10.9 ms and 7 s"),
    ],
)
def test_what_is_not_is_told(said):
    linked = f"# A\n\nIt took {said} ([how](launch/RESULTS.md#speed))."
    assert len(unknown("page", linked, ENTRIES)) == 1
    assert "page:3" in unknown("page", linked, ENTRIES)[0]


def test_a_claim_without_a_link_or_with_a_wrong_one_is_told():
    assert unknown("page", "# A\n\n[how](launch/RESULTS.md#speed)\n# B\n\n12.34 ms", ENTRIES)
    assert "no entry gone" in unknown("page", "1.5 hours [](launch/RESULTS.md#gone)", ENTRIES)[0]
    row = "| a | 12.34 | [how](launch/RESULTS.md#speed) |"
    assert unknown("page", row, ENTRIES) == []
    assert "more often" in "".join(unknown("page", f"{row}\n{row}", ENTRIES))
    assert unknown("page", f"{row}\n\nand\n\n{row}", ENTRIES) == []
