#!/usr/bin/env python3
"""Restarts, kills and reloads the release binary while calls arrive, and prints what was lost.

    cargo build --release && python3 tests/load/restarts.py [--only kill] [--rounds 100]

* shared port: two processes with `reuse_port`, replaced in turn
* passed socket: one process at a time, on a socket that this script holds as systemd does
* kill -9: with `wait = "commit"`, every reply is looked up in the record store after the last kill
* reloads: good and bad edits of the rules; every reply must come from a table that was valid
* steady: 2,000 calls a second on 50 connections for a minute, 10,000 rules, one reload every 10 s

Each call opens a connection of its own. Short forms are in tests/it/service_manager.rs,
tests/it/records_faults.rs and tests/it/reload.rs.
"""

import argparse
import asyncio
import random
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from service import RULES, Server, call, free_port, good_call


# Seconds between two restarts.
PAUSE = 0.4


class Load:
    """Calls at a fixed rate, in the background."""

    def __init__(self, port: int, rate: float):
        self.port, self.rate = port, rate
        self.calls: list[asyncio.Task] = []
        self.is_running = True
        self.task = asyncio.create_task(self.run())

    async def run(self):
        start, sent = time.perf_counter(), 0
        while self.is_running:
            due = int((time.perf_counter() - start) * self.rate)
            for sent in range(sent + 1, due + 1):
                self.calls.append(asyncio.create_task(self.call(sent)))
            sent = max(sent, due)
            await asyncio.sleep(0.002)

    async def call(self, number: int) -> tuple[str, float | None]:
        return f"call_{number}", await good_call(self.port, number)

    async def end(self) -> list[tuple[str, float | None]]:
        self.is_running = False
        await self.task
        return await asyncio.gather(*self.calls)


def report(name: str, rounds: int, results: list[tuple[str, float | None]], lost: int | None) -> bool:
    failed = sum(taken is None for _, taken in results)
    times = [taken for _, taken in results if taken is not None]
    percentiles = statistics.quantiles(times, n=1000)
    print(
        f"| {name} | {rounds} | {len(results)} | {failed} | {'' if lost is None else lost} "
        f"| {percentiles[989] * 1000:.1f} ms | {percentiles[998] * 1000:.1f} ms | {max(times) * 1000:.0f} ms |",
        flush=True,
    )
    return not lost


def missing(server: Server, results: list[tuple[str, float | None]]) -> int:
    """Number of answered calls that are not in the record store."""
    return len({name for name, taken in results if taken is not None} - server.recorded())


async def shared_port(rounds: int, rate: float) -> bool:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        records = f"sqlite:{folder}/records.db"
        old = Server(folder, port, records)
        await old.until_it_answers()
        load = Load(port, rate)
        for _ in range(rounds):
            await asyncio.sleep(PAUSE)
            new = Server(folder, port, records)
            await new.until_it_answers()
            await asyncio.to_thread(old.end)
            old = new
        results = await load.end()
        await asyncio.to_thread(old.end)
        good = report("shared port", rounds, results, missing(old, results))
    return good and all(taken is not None for _, taken in results)


async def passed_socket(rounds: int, rate: float) -> bool:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        port, records = listener.getsockname()[1], f"sqlite:{folder}/records.db"
        server = Server(folder, port, records, listener=listener)
        await server.until_it_answers()
        load = Load(port, rate)
        for _ in range(rounds):
            await asyncio.sleep(PAUSE)
            await asyncio.to_thread(server.end)
            server = Server(folder, port, records, listener=listener)
            await server.until_it_answers()
        results = await load.end()
        await asyncio.to_thread(server.end)
        good = report("passed socket", rounds, results, missing(server, results))
    return good and all(taken is not None for _, taken in results)


async def kill(rounds: int, rate: float) -> bool:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        records = f"sqlite:{folder}/records.db"
        server = Server(folder, port, records, "commit")
        await server.until_it_answers()
        load = Load(port, rate)
        for _ in range(rounds):
            await asyncio.sleep(random.uniform(0.05, 0.5))
            await asyncio.to_thread(server.kill)
            server = Server(folder, port, records, "commit")
            await server.until_it_answers()
        results = await load.end()
        await asyncio.to_thread(server.end)
        return report("kill -9", rounds, results, missing(server, results))


BAD_EDITS = [
    RULES[:25],
    RULES.replace("agent =", "agnet ="),
    RULES.replace("agent_1", "${nothing}"),
    "",
    None,
]


async def reloads(rounds: int, rate: float) -> bool:
    """Alternates good and bad edits; a bad one must leave the previous rules in use."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        await server.until_it_answers()
        load, rules, wrong = Load(server.port, rate), Path(folder) / "rules.toml", 0
        for number in range(rounds):
            await asyncio.sleep(PAUSE / 4)
            good = RULES.replace("agent_1", f"agent_{number}")
            bad = BAD_EDITS[number // 2 % len(BAD_EDITS)]
            is_good = number % 2 == 0
            edit = good if is_good else bad
            if edit is None:
                rules.unlink()
            else:
                (rules.parent / "next").write_text(edit)
                (rules.parent / "next").rename(rules)
            status, _ = await server.ask("POST", "/reload")
            wrong += status != (200 if is_good else 422)
            _, explained = await server.ask("GET", "/explain?from=%2B12137771234")
            expected = number if is_good else number - 1
            wrong += f'"agent":"agent_{expected}"' not in explained
        results = await load.end()
        rss = server.rss_mb()
        await asyncio.to_thread(server.end)
        good = report(f"reloads ({wrong} wrong, {rss:.0f} MB)", rounds, results, None)
    return good and not wrong and all(taken is not None for _, taken in results)


async def steady(seconds: int, _: float) -> bool:
    rate, connections = 2000, 50
    with tempfile.TemporaryDirectory() as folder:
        many = "".join(
            f'[[rule]]\nname = "rule {number}"\nfrom = "+1213{number:07}"\nagent = "agent_2"\n'
            for number in range(9_999)
        )
        rules = Path(folder) / "rules.toml"
        rules.write_text(many + RULES)
        server = Server(folder)
        await server.until_it_answers()
        results: list[tuple[str, float | None]] = []
        start, rss = time.perf_counter(), [server.rss_mb()]

        async def client(first: int):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for number in range(first, rate * seconds, connections):
                await asyncio.sleep(start + number / rate - time.perf_counter())
                sent = time.perf_counter()
                writer.write(call(f"{number}"))
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                good = b" 200 " in head
                results.append((f"call_{number}", time.perf_counter() - sent if good else None))
            writer.close()

        async def edit():
            for number in range(seconds // 10):
                await asyncio.sleep(10)
                rules.write_text(many + RULES.replace("agent_1", f"agent_{number}"))
                rss.append(server.rss_mb())

        await asyncio.gather(edit(), *(client(first) for first in range(connections)))
        await asyncio.to_thread(server.end)
        name = f"steady ({rss[1]:.0f} to {rss[-1]:.0f} MB)"
        report(name, seconds // 10, results, None)
    return all(taken is not None for _, taken in results)


CAMPAIGNS = {
    "shared port": (shared_port, 100),
    "passed socket": (passed_socket, 100),
    "kill -9": (kill, 200),
    "reloads": (reloads, 200),
    "steady": (steady, 60),
}


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=500, help="calls per second")
    parser.add_argument("--rounds", type=int, help="in place of 100 or 200; seconds of the steady campaign")
    parser.add_argument("--only", default="", help="part of the names of the campaigns to run")
    options = parser.parse_args()
    print("| campaign | rounds | calls | without a reply | replies without a record | p99 | p99.9 | longest |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    good = [
        await campaign(options.rounds or rounds, options.rate)
        for name, (campaign, rounds) in CAMPAIGNS.items()
        if options.only in name
    ]
    sys.exit(0 if all(good) else 1)


asyncio.run(main())
