#!/usr/bin/env python3
"""Measures what look-ups cost the calls: systems that hang, are down, or answer, and a large database.

    cargo build --release && python3 tests/load/lookups.py [--seconds 5] [--rate 500] [--only hang]

* hang: the system never answers; half of the calls need it, beside a table without look-ups
* down: nobody listens; with the breaker, beside a table without look-ups
* http: a service on this machine answers
* sqlite: a database with 1,000,000 customers

Short forms are in tests/it/lookups.rs.
"""

import argparse
import asyncio
import json
import socket
import sqlite3
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from service import RULES, Server, free_port, signed

NO_LOOKUP = """
[[rule]]
name = "abroad"
from = "+49*"
agent = "agent_2"
"""

NAMED = """
[[rule]]
name = "everyone"
agent = "agent_1"
variables = { name = "${crm.name|there}" }
"""

HTTP = """
[lookup.crm]
url = "http://127.0.0.1:%d/by-phone?phone=${from}"
allow_private = true
%s
"""


async def timed(port: int, number: int, caller: str) -> float:
    """Sends a call on a connection of its own. Returns the seconds until its reply."""
    inner = {"call_id": f"call_{number}", "from_number": caller, "to_number": "+12137771235"}
    body = json.dumps({"event": "call_inbound", "call_inbound": inner}).encode()
    start = time.perf_counter()
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(signed("/inbound/retell", body))
        line = await reader.readline()
    writer.close()
    assert b" 200 " in line, line
    return time.perf_counter() - start


async def load(port: int, rate: int, seconds: float, caller) -> list[float]:
    start, calls = time.perf_counter(), []
    while (passed := time.perf_counter() - start) < seconds:
        while len(calls) < passed * rate:
            number = len(calls)
            calls.append(asyncio.create_task(timed(port, number, caller(number))))
        await asyncio.sleep(0.001)
    return await asyncio.gather(*calls)


def line(name: str, times: list[float]):
    cuts = statistics.quantiles(times, n=100)
    print(
        f"| {name} | {len(times)} | {cuts[49] * 1000:.1f} ms | {cuts[98] * 1000:.1f} ms | {max(times) * 1000:.1f} ms |",
        flush=True,
    )


def home(number: int) -> str:
    return f"+1213{number % 10_000_000:07}"


def abroad(number: int) -> str:
    return f"+4930{number % 10_000_000:07}"


async def with_rules(rules: str, work):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.toml").write_text(rules)
        server = Server(folder)
        await server.until_it_answers()
        try:
            await timed(server.port, 10**9, abroad(0))
            await work(server.port)
        finally:
            server.end()


def load_in_a_process(port: int, rate: int, seconds: float, caller) -> list[float]:
    return asyncio.run(load(port, rate, seconds, caller))


async def two_halves(port: int, rate: int, seconds: float) -> tuple[list[float], list[float]]:
    """Sends calls from home and from abroad at the same time, each from a process of its own, so that neither
    client's work counts in the other's times."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        loop = asyncio.get_running_loop()
        halves = [
            loop.run_in_executor(processes, load_in_a_process, port, rate // 2, seconds, caller)
            for caller in (home, abroad)
        ]
        return await asyncio.gather(*halves)


async def hang(seconds: float, rate: int):
    seconds = min(seconds, 3)

    async def without(public: int):
        _, others = await two_halves(public, rate, seconds)
        line(f"no look-up, {rate} a second: every second call", others)

    async def work(public: int):
        needing, others = await two_halves(public, rate, seconds)
        line(f"hang, {rate} a second: calls that need it (timeout 300 ms)", needing)
        line("hang: calls that do not", others)

    await with_rules(NO_LOOKUP + RULES, without)
    # The kernel completes the connections; nobody accepts one, so nobody answers.
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as never:
        keys = "timeout_ms = 300\nbreaker_failures = 1000\nmax_concurrent = 1024"
        await with_rules(HTTP % (never.getsockname()[1], keys) + NO_LOOKUP + NAMED, work)


async def down(seconds: float, rate: int):
    async def without(public: int):
        line(f"no look-up, {rate} a second", await load(public, rate, seconds, home))

    async def work(public: int):
        line(f"down, {rate} a second", await load(public, rate, seconds, home))

    await with_rules(NO_LOOKUP + RULES, without)
    await with_rules(HTTP % (free_port(), "") + NO_LOOKUP + NAMED, work)


async def http(seconds: float, rate: int):
    body = b'{"name":"Ann"}'
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def answer(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(reply)

    async def quiet(reader, writer):
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()

    stand_in = await asyncio.start_server(quiet, "127.0.0.1", 0, backlog=4096)
    port = stand_in.sockets[0].getsockname()[1]

    async def work(public: int):
        line(f"http, {rate} a second, each caller new", await load(public, rate, seconds, home))
        line("http: the same callers again, from the cache", await load(public, rate, min(seconds, 3), lambda n: home(n % 500)))

    await with_rules(HTTP % (port, "") + NO_LOOKUP + NAMED, work)
    stand_in.close()


async def sqlite(seconds: float, rate: int):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.db"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE customers (phone TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID")
        rows = ((f"+1213{number:07}", f"name {number}") for number in range(1_000_000))
        database.executemany("INSERT INTO customers VALUES (?, ?)", rows)
        database.commit()
        database.close()
        (Path(folder) / "url").write_text(f"sqlite:{path}")
        lookup = f"""
[lookup.crm]
database = "file:{folder}/url"
query = "SELECT name FROM customers WHERE phone = :from"
"""

        async def work(public: int):
            line(f"sqlite, 1,000,000 rows, {rate} a second", await load(public, rate, seconds, lambda n: home(n * 7919)))

        await with_rules(lookup + NO_LOOKUP + NAMED, work)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scenarios = {"hang": hang, "down": down, "http": http, "sqlite": sqlite}
    parser.add_argument("--only", choices=scenarios)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=int, default=500, help="calls a second")
    arguments = parser.parse_args()
    print("| scenario | calls | p50 | p99 | max |\n|---|---|---|---|---|")
    for name, scenario in scenarios.items():
        if arguments.only in (None, name):
            await scenario(arguments.seconds, arguments.rate)


if __name__ == "__main__":
    asyncio.run(main())
