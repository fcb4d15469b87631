#!/usr/bin/env python3
"""Measures what records cost the answers: p50 and p99 without records, with SQLite, and with `wait = "commit"`.

    cargo build --release && python3 tests/load/records.py [--rate 2000] [--seconds 10] [--rounds 5]

Calls are sent on open connections, in turns. The cost in CPU time is `cargo bench --bench records`; short forms,
without figures, are in tests/it/records_faults.rs.
"""

import argparse
import asyncio
import statistics
import tempfile

from service import Server, steady_calls


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=2_000, help="calls a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers = {
            "no records": Server(folder),
            "SQLite": Server(folder, records=f"sqlite:{folder}/no.db"),
            'SQLite, wait = "commit"': Server(folder, records=f"sqlite:{folder}/commit.db", wait="commit"),
        }
        measured: dict[str, list[list[float]]] = {name: [] for name in servers}
        for server in servers.values():
            await server.until_it_answers()
            await steady_calls(server.port, arguments.rate, 2, 10**9)
        print(f"| {arguments.rate} calls a second | calls | p50 | p99 | max |\n|---|---|---|---|---|")
        for round_ in range(arguments.rounds):
            for name, server in servers.items():
                times = await steady_calls(server.port, arguments.rate, arguments.seconds, round_ * 10**7)
                cuts = [cut * 1000 for cut in statistics.quantiles(times, n=100)]
                measured[name].append([cuts[49], cuts[98]])
                print(
                    f"| {name} | {len(times)} | {cuts[49]:.2f} ms | {cuts[98]:.2f} ms | {max(times) * 1000:.2f} ms |",
                    flush=True,
                )
        without = measured.pop("no records")
        for name, rounds in measured.items():
            for at, quantile in enumerate(["p50", "p99"]):
                ratios = [with_[at] / off[at] for with_, off in zip(rounds, without)]
                listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
                print(f"{quantile} with {name} / without records: median {statistics.median(ratios):.2f} of {listed}")
        for server in servers.values():
            server.end()


asyncio.run(main())
