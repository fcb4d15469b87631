#!/usr/bin/env python3
"""Attacks the public listener while good calls arrive, and prints what the good calls experienced.

    cargo build --release && python3 tests/load/front_door.py [--seconds 10] [--rate 100]

Starts the release binary (or SWITCHBOARD_BINARY) on loopback with default limits and ends it again. `--alone`
attacks a socket without a service behind it: the figures are then those of the attackers' own load. Short forms of the attacks
are in tests/it/sockets.rs and tests/it/public_http.rs. Needs Python 3.10 and an open-file limit of 40,000
(`ulimit -n`); with less, the number of connections is reduced and printed.
"""

import argparse
import asyncio
import random
import resource
import signal
import socket
import statistics
import sys
import tempfile
import time

from service import Server, call, good_call, signed

RENEWAL_SECONDS = 2
UNSIGNED = b"POST /inbound/retell HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
CHUNK = b" " * 65536


class Attack:
    """The connections of one attack."""

    def __init__(self, port: int, connections: int):
        self.port, self.connections = port, connections
        self.opened, self.all_opened = 0, asyncio.Event()

    async def hold(self, first: bytes, body: int = 0, more: bytes = b"", pause: float = 0, read: bool = True):
        """Opens a connection, sends bytes, and opens it again two seconds after the server has closed it."""
        await asyncio.sleep(random.uniform(0, RENEWAL_SECONDS))
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(RENEWAL_SECONDS)
                continue
            self.opened += 1
            if self.opened >= self.connections:
                self.all_opened.set()
            try:
                writer.write(first)
                # In parts: a body of its own for each of 500 connections would take gigabytes.
                for _ in range(body // len(CHUNK)):
                    writer.write(CHUNK)
                    await writer.drain()
                while read and not more and await reader.read(4096):
                    pass
                while more:
                    writer.write(more)
                    await writer.drain()
                    await asyncio.sleep(pause)
            except OSError:
                pass
            finally:
                writer.transport.abort()
            await asyncio.sleep(RENEWAL_SECONDS)

    async def run(self, name: str):
        """Attacks until the process is ended. Prints a line when each connection has been opened once."""
        _, start = ATTACKS[name]
        tasks = [asyncio.create_task(start(self)) for _ in range(self.connections)]
        if tasks:
            await self.all_opened.wait()
        print("ready", flush=True)
        await asyncio.gather(*tasks)
        await asyncio.Event().wait()


def forged_head(path: str, length: int) -> bytes:
    """A head with a signature that is well-formed, fresh and wrong."""
    head = signed(path, b"")
    return head.replace(b"Content-Length: 0", b"Content-Length: %d" % length)


ATTACKS = {
    "none": (0, None),
    "H1 heads without a body, unsigned": (4096, lambda attack: attack.hold(UNSIGNED)),
    "H1 heads without a body, forged": (
        4096,
        lambda attack: attack.hold(forged_head("/inbound/retell", 1000)),
    ),
    "H2 events of 10 MB, unsigned": (
        500,
        lambda attack: attack.hold(
            UNSIGNED.replace(b"inbound", b"events").replace(b"1000", b"10000000"), body=9_000_000
        ),
    ),
    "H2 events of 10 MB, forged": (
        500,
        lambda attack: attack.hold(forged_head("/events/retell", 10_000_000), body=9_000_000),
    ),
    "H3 silent connections": (16_500, lambda attack: attack.hold(b"")),
    "H3 headers of a byte a second": (
        4096,
        lambda attack: attack.hold(b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: ", more=b"a", pause=1),
    ),
    "H3 responses never read": (
        60,
        lambda attack: attack.hold(b"", more=b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 1000, read=False),
    ),
}


async def measure(name: str, seconds: float, rate: float, is_alone: bool):
    count, _ = ATTACKS[name]
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(count, files - 2000)
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0), backlog=4096) as nobody:
        server, attackers = Server(folder), None
        try:
            await server.until_it_answers()
            port = nobody.getsockname()[1] if is_alone else server.port
            # A process of its own: the attackers must not delay the clock of the good calls.
            command = [sys.executable, __file__, "--attack", name, "--port", str(port)]
            command += ["--connections", str(min(count, 4096) if is_alone else count)]
            attackers = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            await asyncio.wait_for(attackers.stdout.readline(), 60)
            calls, cpu, start = [], server.cpu_seconds(), time.perf_counter()
            for number in range(1, int(seconds * rate) + 1):
                calls.append(asyncio.create_task(good_call(server.port, number)))
                server.max_rss_mb = max(server.max_rss_mb, server.rss_mb())
                await asyncio.sleep(start + number / rate - time.perf_counter())
            times = await asyncio.gather(*calls, return_exceptions=True)
            cpu = (server.cpu_seconds() - cpu) / (time.perf_counter() - start)
        finally:
            if attackers:
                attackers.kill()
                await attackers.wait()
            server.end()
    answered = sorted(taken for taken in times if isinstance(taken, float))
    percentile = statistics.quantiles(answered, n=100)[98] * 1000 if len(answered) > 1 else float("nan")
    print(
        f"| {name} | {count} | {len(times)} | {len(times) - len(answered)} "
        f"| {percentile:.1f} ms | {server.max_rss_mb:.0f} MB | {cpu * 100:.0f} % |",
        flush=True,
    )
    return len(times) == len(answered)


async def shutdown(rounds: int = 20) -> bool:
    """Opens 50 connections, sends SIGTERM, then a request on each of them within 5 ms."""
    answered = total = 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder)
            await server.until_it_answers()
            streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
            server.process.send_signal(signal.SIGTERM)
            for number, (_, writer) in enumerate(streams):
                writer.write(call(number + 1))
                await asyncio.sleep(0.0001)
            for reader, writer in streams:
                total += 1
                try:
                    answered += b" 200 " in await asyncio.wait_for(reader.readline(), 10)
                except (OSError, TimeoutError):
                    pass
                writer.close()
            server.end()
    print(f"| M1 requests after SIGTERM | 50 × {rounds} | {total} | {total - answered} | | | |", flush=True)
    return answered == total


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=100, help="good calls per second")
    parser.add_argument("--only", default="", help="part of the names of the attacks to run")
    parser.add_argument(
        "--alone", action="store_true", help="attack a socket without a service: what the attackers themselves cost"
    )
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 40_000), hard))
    if options.attack:
        return await Attack(options.port, options.connections).run(options.attack)
    print("| attack | connections | good calls | without a reply | p99 | resident memory | CPU of the service |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    names = [name for name in ATTACKS if options.only in name]
    good = [await measure(name, options.seconds, options.rate, options.alone) for name in names]
    if options.only in "M1" and not options.alone:
        good.append(await shutdown())
    sys.exit(0 if all(good) else 1)


asyncio.run(main())
