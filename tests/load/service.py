"""A running release binary on loopback, and signed calls to it. Used by the scripts beside this file."""

import asyncio
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SWITCHBOARD_BINARY", ROOT / "target/release/switchboard"))
KEY = b"key_0123456789abcdef0123456789ab"
SETTINGS = """
[server]
listen = "127.0.0.1:{port}"
reuse_port = {reuse_port}
[admin]
listen = "127.0.0.1:{admin}"
[records]
url = "{records}"
wait = "{wait}"
[log]
level = "error"
[sources.retell]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
"""
RULES = '[[rule]]\nname = "everyone"\nagent = "agent_1"\n'


def signed(path: str, body: bytes) -> bytes:
    now = str(int(time.time() * 1000)).encode()
    digest = hmac.new(KEY, body + now, hashlib.sha256).hexdigest()
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    return f"{head}X-Retell-Signature: v={now.decode()},d={digest}\r\n\r\n".encode() + body


def call(number: int | str) -> bytes:
    inner = {"call_id": f"call_{number}", "from_number": "+12137771234", "to_number": "+12137771235"}
    return signed("/inbound/retell", json.dumps({"event": "call_inbound", "call_inbound": inner}).encode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CONNECTIONS = 50


async def steady_calls(port: int, rate: int, seconds: float, first: int) -> list[float]:
    """Sends calls of different callers on open connections, at a steady rate. Returns the seconds from the time
    at which each was due until its reply; a wait for a free connection counts."""
    free: asyncio.Queue = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    times = []

    async def send(number: int, due: float):
        inner = {"call_id": f"live_{number}", "from_number": f"+1213{number % 10_000_000:07}", "to_number": "+12137771235"}
        request = signed("/inbound/retell", json.dumps({"event": "call_inbound", "call_inbound": inner}).encode())
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        await reader.readexactly(length)
        free.put_nowait((reader, writer))
        assert b" 200 " in head.split(b"\r\n", 1)[0], head
        times.append(time.perf_counter() - due)

    start, sent, tasks = time.perf_counter(), 0, set()
    while (passed := time.perf_counter() - start) < seconds:
        while sent < passed * rate:
            task = asyncio.create_task(send(first + sent, start + sent / rate))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return times


class Server:
    """The release binary, with its configuration in a folder."""

    def __init__(
        self,
        folder: str,
        port: int | None = None,
        records: str = "off",
        wait: str = "no",
        listener: socket.socket | None = None,
    ):
        self.port, self.folder = port or free_port(), Path(folder)
        self.admin = free_port()
        self.settings = self.folder / f"{self.admin}.toml"
        self.settings.write_text(
            SETTINGS.format(
                port=self.port,
                admin=self.admin,
                reuse_port="true" if port and not listener else "false",
                records=records,
                wait=wait,
            )
        )
        if not (self.folder / "rules.toml").exists():
            (self.folder / "rules.toml").write_text(RULES)
        environment = os.environ | {"RETELL_API_KEY": KEY.decode()}
        command = [str(BINARY), "serve", "--config", str(self.settings)]
        if listener:
            # As systemd passes a socket.
            number = listener.fileno()
            script = f"exec 3<&{number}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=public exec \"$@\""
            command = ["sh", "-c", script, "sh", *command]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()] if listener else [],
        )
        self.max_rss_mb = 0.0

    async def until_it_answers(self):
        """Waits until the admin listener is ready: with a shared port, another process may answer calls."""
        for _ in range(400):
            status, _ = await self.ask("GET", "/readyz")
            if status == 200:
                return
            await asyncio.sleep(0.025)
        sys.exit("the server does not answer")

    async def ask(self, method: str, path: str) -> tuple[int, str]:
        """Sends a request to the admin listener. The status is 0 if there is no response."""
        request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.admin)
            writer.write(request.encode())
            response = (await reader.read()).decode()
            writer.close()
        except OSError:
            return 0, ""
        head, _, body = response.partition("\r\n\r\n")
        return int(head.split()[1]) if head else 0, body

    def rss_mb(self) -> float:
        """Resident memory."""
        return self.memory_mb("VmRSS:")

    def peak_mb(self) -> float:
        """The largest resident memory since the start."""
        return self.memory_mb("VmHWM:")

    def memory_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(name)[1].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """User and system time since the start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def recorded(self) -> set[str]:
        """Ids of the recorded calls."""
        command = [str(BINARY), "records", "export", "--config", str(self.settings)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {json.loads(line).get("call_id") for line in output.splitlines()}


async def good_call(port: int, number: int | str) -> float | None:
    """Sends a call on a connection of its own. Returns the seconds until its reply, None without one."""
    start = time.perf_counter()
    writer = None
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(call(number))
            line = await reader.readline()
    except OSError:
        return None
    finally:
        if writer:
            writer.close()
    return time.perf_counter() - start if b" 200 " in line else None
