#!/usr/bin/env python3
"""Measures the console: pages at a million records, and what ten live pages cost the calls.

    cargo build --release && python3 tests/load/console.py [--records 1000000] [--rate 2000] [--seconds 10]

Calls are sent on open connections, in turns without and with ten pages that follow them. A short form, without
figures, is tests/it/console.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from service import RULES, Server, steady_calls

PAGES = {
    "first page": "/calls",
    "oldest page": "/calls?until=29d",
    "a rule that decided every call": "/calls?rule=everyone",
    "a rule that decided one call": "/calls?rule=rare",
    "only fallbacks, of which there are none": "/calls?outcome=fallback",
    "a number": "/calls?number=%2B12130000007",
    "charts, 7 days": "/calls/charts",
    "charts, 30 days": "/calls/charts?since=30d",
}
FOLLOWERS = 10


def fill(path: Path, records: int):
    """Writes records of the last 30 days, as the service would."""
    database = sqlite3.connect(path)
    now, age = int(time.time() * 1000), 30 * 24 * 3600 * 1000
    details = json.dumps({"numbers": "full", "agent_id": "agent_1", "latency_us": 412}, separators=(",", ":"))
    hour = 3_600_000

    def rows():
        for number in range(records):
            at = now - age + (number + 1) * age // (records + 1)
            identity = f"{at:012x}7{random.getrandbits(12):03x}8{random.getrandbits(60):015x}"
            parts = [identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]]
            rule = "rare" if number == 10 else "everyone"
            yield (
                "-".join(parts), f"{number:016}", at // hour * hour, at, "retell", "retell", "call", f"call_{number}",
                f"+1213{number % 10_000_000:07}", "+12137771235", "agent", rule, "agent_1", "0123456789ab", 1, details,
            )

    database.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * 16)})", rows())
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


async def page(port: int, path: str) -> float:
    """Asks for a page. Returns the seconds until its last byte."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    response = await reader.read()
    writer.close()
    assert b" 200 " in response.split(b"\r\n", 1)[0], response[:500]
    return time.perf_counter() - start


async def until_records_are_open(port: int):
    """Waits until pages can read records, which the service opens after it begins to answer."""
    for _ in range(600):
        try:
            await page(port, "/calls")
            return
        except AssertionError:
            await asyncio.sleep(0.1)
    raise SystemExit("the records were not opened")


async def session(port: int) -> bytes:
    """Opens a page, as a browser does first. Returns the session cookie."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /try HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = (await reader.read()).partition(b"\r\n\r\n")[0]
    writer.close()
    return head.split(b"set-cookie: ")[1].split(b";")[0]


async def follow(port: int, seen: list[int]):
    cookie = await session(port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /calls/live HTTP/1.1\r\nHost: localhost\r\nCookie: " + cookie + b"\r\n\r\n")
    try:
        # In large pieces: line by line, the pages would delay the calls of this script.
        while piece := await reader.read(1 << 18):
            seen[0] += piece.count(b"event: calls")
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=2_000, help="calls a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.toml").write_text('[[rule]]\nname = "rare"\nfrom = "+49*"\nagent = "agent_2"\n' + RULES)
        path = Path(folder) / "records.db"
        server = Server(folder, records=f"sqlite:{path}")
        await server.until_it_answers()
        await until_records_are_open(server.admin)
        server.end()
        fill(path, arguments.records)
        server = Server(folder, records=f"sqlite:{path}")
        await server.until_it_answers()
        await until_records_are_open(server.admin)
        print(f"| page, {arguments.records:,} records | first | median of 9 |\n|---|---|---|")
        for name, target in PAGES.items():
            first = await page(server.admin, target)
            times = [await page(server.admin, target) for _ in range(9)]
            print(f"| {name} | {first * 1000:.0f} ms | {statistics.median(times) * 1000:.0f} ms |", flush=True)
        print(f"\n| {arguments.rate} calls a second | calls | p50 | p99 | max |\n|---|---|---|---|---|")
        ratios, first = [], 0
        await steady_calls(server.port, arguments.rate, 2, 10**9)
        for _ in range(arguments.rounds):
            p99 = []
            for followers in (0, FOLLOWERS):
                seen = [0]
                following = [asyncio.create_task(follow(server.admin, seen)) for _ in range(followers)]
                times = await steady_calls(server.port, arguments.rate, arguments.seconds, first)
                first += len(times)
                for task in following:
                    task.cancel()
                cuts = [cut * 1000 for cut in statistics.quantiles(times, n=100)]
                p99.append(cuts[98])
                print(
                    f"| {followers} live pages, {seen[0]} events | {len(times)} | {cuts[49]:.2f} ms "
                    f"| {cuts[98]:.2f} ms | {max(times) * 1000:.2f} ms |",
                    flush=True,
                )
            ratios.append(p99[1] / p99[0])
        if ratios:
            print(f"\np99 with {FOLLOWERS} live pages / p99 without: median {statistics.median(ratios):.2f} of {ratios}")
        server.end()


asyncio.run(main())
