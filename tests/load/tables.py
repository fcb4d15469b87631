#!/usr/bin/env python3
"""Measures how long the release binary takes to load large tables, and how much memory they take.

    cargo build --release && python3 tests/load/tables.py [--size 1000000] [--rounds 3]

A table with a rule for each number, and a table with one rule and a list of all numbers. Prints the best of
several rounds of `check`, its largest resident memory, and the resident memory of `serve` with the table
before and after a reload. Needs Python 3.10.
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

from service import BINARY, RULES, Server


def rule_for_each(folder: Path, size: int) -> str:
    return "".join(
        f'[[rule]]\nname = "rule {number}"\nfrom = "+1213{number:07}"\nagent = "agent_2"\n'
        for number in range(size)
    )


def one_list(folder: Path, size: int) -> str:
    rows = "".join(f"+1213{number:07}\n" for number in range(size))
    (folder / "numbers.csv").write_text("number\n" + rows)
    return '[lists.known]\nfile = "numbers.csv"\n[[rule]]\nname = "known"\nfrom = "@known"\nagent = "agent_2"\n'


TABLES = {"a rule for each number": rule_for_each, "one rule with a list": one_list}


def check(rules: Path) -> tuple[float, float]:
    """Seconds and megabytes of one `check`."""
    start = time.perf_counter()
    process = subprocess.Popen([BINARY, "check", "--rules", rules], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"check ends with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


async def serve(folder: str, rules: Path) -> tuple[float, float, float]:
    """Megabytes of a service after its start and after a reload, and the most during it."""
    server = Server(folder)
    try:
        await server.until_it_answers()
        before = server.rss_mb()
        rules.write_text(rules.read_text().replace("agent_1", "agent_3"))
        status, _ = await server.ask("POST", "/reload")
        if status != 200:
            raise SystemExit(f"the reload is answered {status}")
        return before, server.rss_mb(), server.peak_mb()
    finally:
        server.end()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| table | size | check | its memory | service | after a reload | largest |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, make in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            rules = Path(folder) / "rules.toml"
            rules.write_text(make(Path(folder), options.size) + RULES)
            seconds, memory = min(check(rules) for _ in range(options.rounds))
            before, after, largest = await serve(folder, rules)
            print(
                f"| {name} | {options.size:,} | {seconds:.2f} s | {memory:.0f} MB "
                f"| {before:.0f} MB | {after:.0f} MB | {largest:.0f} MB |",
                flush=True,
            )


asyncio.run(main())
