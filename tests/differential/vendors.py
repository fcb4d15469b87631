#!/usr/bin/env python3
"""Compares how the platforms' released libraries on PyPI and npm and Switchboard judge the same mutated requests.

    just differential            (or: pip install -r requirements.txt; npm ci; python3 vendors.py [COUNT] [SEED])

COUNT requests for each of twilio, telnyx, elevenlabs, openai and standardwebhooks. The requests are the same for the
same count and seed. A request on which a library differs must have one of the reasons in `STRICTER` or `LAXER`; otherwise the exit
status is 1. Needs Python 3.10 and Node 20.
"""

import base64
import datetime
import hashlib
import hmac
import json
import logging
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, quote_plus

import standardwebhooks
import standardwebhooks.webhooks
from elevenlabs.client import ElevenLabs
from nacl.signing import SigningKey
from openai import OpenAI
from telnyx.lib.webhook_verification import verify_webhook_signature
from twilio.request_validator import RequestValidator, get_signature_algorithm

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BASE = "https://hooks.example.net"
NOW = 1_795_700_000
PLATFORMS = ["twilio", "telnyx", "elevenlabs", "openai", "standardwebhooks"]
SIGNATURES = {
    "twilio": {"kind": "twilio"},
    "telnyx": {"kind": "ed25519"},
    "elevenlabs": {
        "kind": "hmac",
        "header": "elevenlabs-signature",
        "format": "t,v0",
        "message": "{t}.{body}",
        "tolerance_s": 1800,
    },
    "openai": {"kind": "standard_webhooks"},
    "standardwebhooks": {"kind": "standard_webhooks"},
}
TOLERANCE = {"elevenlabs": 1800}
HEADER = {
    "twilio": "x-twilio-signature",
    "telnyx": "telnyx-signature-ed25519",
    "elevenlabs": "elevenlabs-signature",
    "openai": "webhook-signature",
    "standardwebhooks": "webhook-signature",
}
FORM = "application/x-www-form-urlencoded; charset=UTF-8"


# The libraries of PyPI. Each returns a false value, or raises, for a request that it refuses.


def py_twilio(request):
    headers = request["headers"]
    algorithm = get_signature_algorithm(headers.get("x-twilio-webhooks-signature-settings"))
    # A form is a dictionary; a JSON body is a text; without either there is nothing.
    params = request["multi"] if request["params"] is not None else (request["body"] or {})
    return RequestValidator(request["key"]).validate(
        request["url"], params, headers.get("x-twilio-signature", ""), algorithm
    )


def py_telnyx(request):
    verify_webhook_signature(request["body"], request["headers"], request["key"])
    return True


def py_elevenlabs(request):
    ELEVENLABS.webhooks.construct_event(
        request["body"], request["headers"].get("elevenlabs-signature", ""), request["key"]
    )
    return True


def py_openai(request):
    OPENAI.webhooks.verify_signature(request["body"], request["headers"], secret=request["key"])
    return True


def py_standardwebhooks(request):
    standardwebhooks.Webhook(request["key"]).verify(request["body"], request["headers"])
    return True


PYPI = {name: globals()[f"py_{name}"] for name in PLATFORMS}
ELEVENLABS, OPENAI = ElevenLabs(api_key="unused"), OpenAI(api_key="unused")


class MultiDict(dict):
    """Values by name, as Flask and Django hand them to Twilio's library."""

    def getall(self, name):
        return self[name]


class FixedClock(datetime.datetime):
    at = NOW

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(cls.at, tz)


def pypi_accepts(request) -> bool:
    at = request["time_ms"] / 1000
    FixedClock.at = at
    time.time = lambda: at
    try:
        return bool(PYPI[request["platform"]](request))
    except Exception:  # noqa: BLE001: libraries raise errors of many types.
        return False


# The requests


def digest(key: bytes, message: bytes, algorithm: str) -> str:
    return base64.b64encode(hmac.new(key, message, algorithm).digest()).decode()


def sign_twilio(rng, request):
    """A form, a GET request, or a JSON body with its hash in the URL."""
    kind = rng.choice(["form", "form", "form", "json", "get"])
    request["target"] = rng.choice(["/inbound/t1", "/inbound/t1?tenant=a", "/inbound/t1?x=%2B1&y=%C3%BC", "/inbound/t1?q=a+b"])
    request["key"] = rng.choice(["12345678901234567890123456789012", "ab" * 16])
    request["headers"] = {}
    if kind == "form":
        pairs = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.randrange(6))]
        request["body"] = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
        request["headers"]["content-type"] = FORM
    elif kind == "json":
        request["body"] = rng.choice(BODIES)
        request["headers"]["content-type"] = "application/json"
        joint = "&" if "?" in request["target"] else "?"
        request["target"] += f"{joint}bodySHA256={hashlib.sha256(request['body'].encode()).hexdigest()}"
    else:
        request["method"], request["body"] = "GET", ""
    pairs = sorted(set(parse_qsl(request["body"], keep_blank_values=True))) if kind == "form" else []
    port = rng.choice(["", "", ":443", ":8443"])
    message = BASE + port + request["target"] + "".join(name + value for name, value in pairs)
    algorithm = "sha1"
    if rng.random() < 0.2:
        identity = "webhooks_sharedkey_01EXAMPLE"
        name = rng.choice(["HMAC_SHA256", "HMAC_SHA256", "HMAC_SHA1", "HMAC_MD5"])
        algorithm = {"HMAC_SHA256": "sha256"}.get(name, "sha1")
        request["headers"]["x-twilio-webhooks-signature-settings"] = f"key={identity},algorithm={name}"
        request["shared_keys"] = {identity: request["key"]}
    request["headers"][HEADER["twilio"]] = digest(request["key"].encode(), message.encode(), algorithm)


def sign_telnyx(rng, request):
    signer = SigningKey(hashlib.sha256(bytes([rng.randrange(2)])).digest())
    request["key"] = base64.b64encode(bytes(signer.verify_key)).decode()
    written = request["written"]
    signature = base64.b64encode(signer.sign(f"{written}|{request['body']}".encode()).signature).decode()
    request["headers"] = {"telnyx-timestamp": written, HEADER["telnyx"]: signature}


def sign_elevenlabs(rng, request):
    request["key"] = rng.choice(["wsec_5f0c0example5f0c0", "wsec_another_0123456"])
    written = request["written"]
    mac = hmac.new(request["key"].encode(), f"{written}.{request['body']}".encode(), "sha256").hexdigest()
    items = [f"t={written}", f"v0={mac}"]
    if rng.random() < 0.2:
        items.append(rng.choice(["v1=00ff", f"v0={'0' * 64}", "x", f"t={written}"]))
    if rng.random() < 0.2:
        rng.shuffle(items)
    request["headers"] = {HEADER["elevenlabs"]: ",".join(items)}


def sign_standard(rng, request):
    raw = rng.choice([b"switchboard-vector-32-bytes-long", b"another-key-of-32-bytes-in-total"])
    request["key"] = "whsec_" + base64.b64encode(raw).decode()
    identity, written = rng.choice(["msg_1", "wh_685342e6c53c8190a1be43f081506c52"]), request["written"]
    mac = digest(raw, f"{identity}.{written}.{request['body']}".encode(), "sha256")
    items = [f"v1,{mac}"]
    if rng.random() < 0.25:
        items.append(rng.choice([f"v1,{digest(b'old', b'old', 'sha256')}", "v1a,AAAA", "v2,x", "bare", ""]))
    if rng.random() < 0.2:
        rng.shuffle(items)
    request["headers"] = {"webhook-id": identity, "webhook-timestamp": written, "webhook-signature": " ".join(items)}


SIGN = {
    "twilio": sign_twilio,
    "telnyx": sign_telnyx,
    "elevenlabs": sign_elevenlabs,
    "openai": sign_standard,
    "standardwebhooks": sign_standard,
}
NAMES = ["CallSid", "From", "To", "Body", "FromCity", "a", "A", "ab", "Größe"]
VALUES = ["", "+441632960123", "CA00ff", "  x \n", "Grüße 👋", "a=b&c", "%2B", "1", "2"]
BODIES = ["{}", '{"data":{"id":"event_1"}}', '{"text":"Grüße 👋","n":[1, 2.50]}', '{"a":"' + "word " * 200 + '"}', "[]"]
PIECES = ["0", "a", " ", "=", ",", "+", "/", "-", "_", ";", "v1,", "\t", "é", "A", "&", "%41", "t=", "\x00"]
AGES = [0, 1, -1, 299, 300, 301, -299, -300, -301, 1799, 1800, 1801, -1800, -1801, 86_400, -86_400]


def changed(rng, text: str) -> str:
    at, kind = rng.randrange(len(text) + 1), rng.randrange(8)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + rng.choice(PIECES) + text[at:]
    if kind == 2:
        return text[:at] + rng.choice(PIECES) + text[at + 1 :]
    if kind == 3:
        return text[:at]
    if kind == 4:
        return text.swapcase() if rng.random() < 0.5 else text.rstrip("=")
    if kind == 5 and text and at < len(text) and text[at] < "\x80":
        return text[:at] + chr(ord(text[at]) ^ 1 << rng.randrange(7)) + text[at + 1 :]
    if kind == 6:
        return text.replace("+", "-").replace("/", "_")
    return text + rng.choice(["=", " ", "\n", ",", text])


def make_request(rng, platform: str) -> dict:
    at = NOW + rng.randrange(10**6)
    stamp = str(at)
    if rng.random() < 0.1:
        stamp = rng.choice([f"0{at}", f"+{at}", f" {at}", f"{at}.0", f"{at}x", f"{at}000", f"{at}_0", "x"])
    request = {"platform": platform, "method": "POST", "target": "/inbound/t1", "body": rng.choice(BODIES), "written": stamp}
    SIGN[platform](rng, request)
    request["time_ms"] = 1000 * (at + (0 if rng.random() < 0.6 else rng.choice(AGES)))
    for _ in range(rng.choice([0, 0, 1, 1, 1, 1, 2])):
        part = rng.choice(["body", "header", "header", "key", "target"])
        if part == "header" and request["headers"]:
            name = rng.choice(list(request["headers"]))
            if rng.random() < 0.1:
                del request["headers"][name]
            elif name != "content-type":
                request["headers"][name] = changed(rng, request["headers"][name])
        elif part == "body":
            request["body"] = changed(rng, request["body"])
        elif part == "target" and platform == "twilio":
            request["target"] = request["target"] + rng.choice(["&", "x", "?", "/", "&bodySHA256=00"])
        elif part == "key" and platform == "twilio":
            request["key"] = request["key"][::-1]
            request["shared_keys"] = {name: key[::-1] for name, key in request.get("shared_keys", {}).items()}
    return finished(request)


def finished(request: dict) -> dict:
    """Adds what the libraries take: the URL, and the parameters that a web framework has decoded."""
    # HTTP removes blanks around a value.
    request["headers"] = {name: value.strip(" \t") for name, value in request["headers"].items()}
    request["url"] = BASE + request["target"]
    is_form = request["method"] == "POST" and request["headers"].get("content-type") == FORM
    request["params"] = request["multi"] = None
    if is_form:
        values = MultiDict()
        for name, value in parse_qsl(request["body"], keep_blank_values=True):
            values.setdefault(name, []).append(value)
        request["multi"] = values
        request["params"] = {name: found if len(found) > 1 else found[0] for name, found in values.items()}
    return request


# The comparison


def timestamp_of(request):
    headers = request["headers"]
    if request["platform"] == "elevenlabs":
        found = [item[2:] for item in headers.get(HEADER["elevenlabs"], "").split(",") if item.startswith("t=")]
        return found[0] if len(found) == 1 else None
    return headers.get("telnyx-timestamp" if request["platform"] == "telnyx" else "webhook-timestamp")


def is_base64(text: str, length: int) -> bool:
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return len(decoded) == length and base64.b64encode(decoded).decode() == text


def is_http(request) -> bool:
    texts = request["headers"].values()
    return all(all(letter == "\t" or " " <= letter != "\x7f" for letter in text) for text in texts)


def is_stricter(name: str, library: str, request: dict) -> bool:
    """Whether Switchboard refuses this request for a documented reason, although a library accepts it."""
    platform, headers = request["platform"], request["headers"]
    signature = headers.get(HEADER[platform], "")
    items = signature.split(" ")
    settings = headers.get("x-twilio-webhooks-signature-settings", "algorithm=HMAC_SHA1")
    stamp = timestamp_of(request)
    age = None
    if stamp is not None and re.fullmatch("[0-9]{1,16}", stamp):
        age = request["time_ms"] / 1000 - int(stamp)
    return {
        "a header that HTTP does not allow": not is_http(request),
        "a timestamp that is not digits alone": platform != "twilio" and age is None,
        "leading zeros of a timestamp, which the library drops before it signs": platform == "standardwebhooks"
        and (stamp or "").startswith("0"),
        "a timestamp from the future": age is not None and age < -TOLERANCE.get(platform, 300),
        "a signature that is not canonical base64": platform in ("telnyx", "openai", "standardwebhooks")
        and any(not is_base64(item.rpartition(",")[2], 64 if platform == "telnyx" else 32) for item in items),
        "a signature without a version": platform == "openai" and any("," not in item for item in items),
        "a version that is not exactly v1": platform in ("openai", "standardwebhooks")
        and not any(re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", item) for item in items),
        "a JSON body with bodySHA256 twice, or without it": platform == "twilio"
        and request["params"] is None
        and request["body"] != ""
        and request["target"].count("bodySHA256=") != 1,
        "a body without a content type": platform == "twilio" and "content-type" not in headers and request["body"] != "",
        "bytes of a form that are not UTF-8": platform == "twilio" and "\ufffd" in json.dumps(request["params"], ensure_ascii=False),
        "an algorithm that the settings header does not name once": platform == "twilio"
        and (settings.count("algorithm=") != 1 or not re.search("(^|,) *algorithm=HMAC_SHA(1|256) *(,|$)", settings)),
        "a shared key that the settings do not have": platform == "twilio"
        and "x-twilio-webhooks-signature-settings" in headers
        and not any(re.search(f"(^|,) *key={key},", settings) for key in request.get("shared_keys", {})),
        "a URL whose empty query PyPI leaves out": platform == "twilio" and library == "PyPI" and request["target"].endswith("?"),
        "a URL that is right after npm has normalised it": platform == "twilio"
        and library == "npm"
        and re.search("[&?]$|&&|%|[+']", request["target"]) is not None,
    }[name]


STRICTER = [
    "a header that HTTP does not allow",
    "a timestamp that is not digits alone",
    "leading zeros of a timestamp, which the library drops before it signs",
    "a timestamp from the future",
    "a signature that is not canonical base64",
    "a signature without a version",
    "a version that is not exactly v1",
    "a JSON body with bodySHA256 twice, or without it",
    "a body without a content type",
    "bytes of a form that are not UTF-8",
    "an algorithm that the settings header does not name once",
    "a shared key that the settings do not have",
    "a URL whose empty query PyPI leaves out",
    "a URL that is right after npm has normalised it",
]


def is_laxer(name: str, library: str, request: dict) -> bool:
    """Whether a library refuses this request for a documented reason, although its signature is right."""
    platform, headers = request["platform"], request["headers"]
    signature = headers.get(HEADER[platform], "")
    items = signature.split(" ")
    return {
        "hexadecimal digits in upper case": platform == "elevenlabs" and signature != signature.lower(),
        "several v0, of which the library reads one": platform == "elevenlabs" and signature.count("v0=") > 1,
        "an item that stops the library": platform == "standardwebhooks" and any(item.count(",") != 1 for item in items),
        "base64 beside the right one that stops the library": platform in ("openai", "standardwebhooks")
        and any(not is_base64(item.partition(",")[2], 32) for item in items),
        "a timestamp with leading zeros": platform == "standardwebhooks" and (timestamp_of(request) or "").startswith("0"),
        "bytes of a form that are not UTF-8": platform == "twilio" and "\ufffd" in json.dumps(request["params"], ensure_ascii=False),
        "npm does not know shared keys": library == "npm" and "x-twilio-webhooks-signature-settings" in headers,
    }[name]


LAXER = [
    "hexadecimal digits in upper case",
    "several v0, of which the library reads one",
    "an item that stops the library",
    "base64 beside the right one that stops the library",
    "a timestamp with leading zeros",
    "bytes of a form that are not UTF-8",
    "npm does not know shared keys",
]


def switchboard(requests: list[dict]) -> list[bool]:
    lines = []
    for request in requests:
        line = {
            "signature": SIGNATURES[request["platform"]],
            "keys": [request["key"]],
            "shared_keys": request.get("shared_keys", {}),
            "public_base_url": BASE,
            "method": request["method"],
            "target": request["target"],
            "headers": list(request["headers"].items()),
            "body": base64.b64encode(request["body"].encode()).decode(),
            "time_ms": request["time_ms"],
        }
        lines.append(json.dumps(line))
    command = ["cargo", "run", "--quiet", "--locked", "--example", "verify"]
    return answers(command, lines, ROOT)


def npm(requests: list[dict]) -> list[bool]:
    return answers(["node", str(HERE / "vendors.mjs")], [json.dumps(request) for request in requests], HERE)


def answers(command: list[str], lines: list[str], folder: Path) -> list[bool]:
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    found = [line == "accept" for line in done.stdout.split("\n") if line]
    assert len(found) == len(lines), f"{len(found)} answers to {len(lines)} requests: {done.stderr}"
    return found


def compare(library: str, theirs: list[bool], ours: list[bool], requests: list[dict]) -> int:
    counts, unexpected = Counter(), 0
    for request, them, us in zip(requests, theirs, ours):
        if them == us:
            counts["both accept" if us else "both refuse"] += 1
            continue
        if them:
            reason = next((name for name in STRICTER if is_stricter(name, library, request)), None)
            side = "only the library accepts"
        else:
            reason = next((name for name in LAXER if is_laxer(name, library, request)), None)
            side = "only Switchboard accepts"
        counts[f"{side}: {reason or 'NO REASON'}"] += 1
        if reason is None:
            unexpected += 1
            if unexpected <= 3:
                shown = {key: request[key] for key in ("key", "method", "target", "headers", "body", "time_ms")}
                print(side, json.dumps(shown), file=sys.stderr)
    print(f"{requests[0]['platform']} of {library}, seed {SEED}, {len(requests)} requests")
    for name, count in sorted(counts.items()):
        print(f"{count:8}  {name}")
    return unexpected


def main() -> int:
    standardwebhooks.webhooks.datetime = FixedClock
    logging.disable()
    unexpected = 0
    for platform in PLATFORMS:
        rng = random.Random(f"{platform} {SEED}")
        requests = [make_request(rng, platform) for _ in range(COUNT)]
        ours = switchboard(requests)
        unexpected += compare("PyPI", [pypi_accepts(request) for request in requests], ours, requests)
        unexpected += compare("npm", npm(requests), ours, requests)
        if not any(ours) or all(ours):
            raise SystemExit(f"{platform}: the requests test nothing")
    print(f"{unexpected} differences that are not documented")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
