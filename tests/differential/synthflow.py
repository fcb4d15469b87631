#!/usr/bin/env python3
"""Compares how a reference verifier of Synthflow's scheme and Switchboard judge the same mutated requests.

    just differential            (or: python3 synthflow.py [COUNT] [SEED])

Synthflow releases no library with a verifier. `is_accepted` is written from its documentation, and has to
accept the vectors in tests/fixtures/vectors first. The requests are the same for the same count and seed.
Exits with 1 if the two differ in a way that is not documented (`has_control_character_in_key`), or never in the
one that is. Needs Python 3.10.
"""

import base64
import hashlib
import hmac
import json
import random
import subprocess
import sys
from pathlib import Path

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "tests/fixtures/vectors/synthflow_vectors.json").read_text())["vectors"]
SIGNATURES = ["synthflow-signature", "x-synthflow-signature", "http-synthflow-signature", "http_synthflow_signature"]
CALL_IDS = ["call_id", "call-id", "x-call-id", "x-synthflow-call-id"]


# The reference


class Number(str):
    """A number, a boolean or a constant as it is written."""


def without_surrogates(value: str) -> str:
    """A string that has bytes: half a surrogate pair, which has none, becomes U+FFFD."""
    return "".join("\ufffd" if 0xD800 <= ord(letter) <= 0xDFFF else letter for letter in value)


def refuse_constant(name: str):
    raise ValueError(f"{name} is not JSON")


def read_object(body: bytes, strict: bool = True) -> dict:
    """A body as an object, the last of duplicate keys counting; empty if it is anything else."""
    options = {"parse_int": Number, "parse_float": Number, "parse_constant": refuse_constant}
    try:
        value = json.loads(body.decode(), strict=strict, **options)
    except (ValueError, RecursionError):
        return {}
    return as_object(value)


def as_object(value) -> dict:
    return value if isinstance(value, dict) else {}


def text_of(value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return without_surrogates(value) if isinstance(value, str) and value else None


def call_id(body: bytes, headers: list[tuple[str, str]]) -> str | None:
    """The first of `call.call_id`, `call_id`, `call_inbound.call_id` and the headers."""
    top = read_object(body)
    for place in (as_object(top.get("call")), top, as_object(top.get("call_inbound"))):
        found = text_of(place.get("call_id"))
        if found is not None:
            return found
    for name in CALL_IDS:
        values = [value for header, value in headers if header == name]
        if values:
            is_plain = values[0] and all(" " <= letter <= "~" or letter == "\t" for letter in values[0])
            return values[0] if is_plain else None
    return None


def is_accepted(key: str, headers: list[tuple[str, str]], body: bytes) -> bool:
    if any((letter < " " and letter != "\t") or letter == "\x7f" for _, value in headers for letter in value):
        return False  # Not HTTP.
    names = [name for name, _ in headers if name in SIGNATURES]
    signed = call_id(body, headers)
    if not names or signed is None or len(set(names)) != len(names):
        return False
    first = next(name for name in SIGNATURES if name in names)
    value = dict(headers)[first]
    digest = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    # Comparing texts instead of bytes demands the one standard spelling, with padding.
    return hmac.compare_digest(value.encode(), base64.b64encode(digest))


def has_control_character_in_key(body: bytes) -> bool:
    """The documented difference: JSON demands an escape. Switchboard reads the call id of such a body all the
    same, and the reference the one of the headers, if any.
    """

    def keys(value):
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield key
            yield from keys(inner)

    if read_object(body):
        return False
    return any(letter < " " for key in keys(read_object(body, strict=False)) for letter in key)


# The requests


def sign(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


KEYS = [*{vector["secret"] for vector in VECTORS}, "another_secret_0123", "schlüssel_0123456789", "k" * 64, "k" * 65]
IDS = [vector["call_id"] for vector in VECTORS] + ["1", "call ünï", "日本語", "true", "17", "12.50", "\ufffd17", "x" * 300]
BODIES = [
    '{{"call":{{"call_id":{id},"status":"completed"}}}}',
    '{{"call_id":{id}}}',
    '{{"event":"call_inbound","call_inbound":{{"call_id":{id},"from_number":"+12137771234"}}}}',
    '{{"call_id":{other},"call":{{"call_id":{id}}}}}',
    '{{"call_inbound":{{"call_id":{other}}},"call_id":{id}}}',
    '{{"call":{{"call_id":{other},"call_id":{id}}}}}',
    '{{"call":17,"call":{{"call_id":{id}}}}}',
    '{{"call":{{"call_id":{id}}},"call":17}}',
    '{{"call":{{"call_id":null}},"call_id":"","call_inbound":{{"call_id":{id}}}}}',
    '{{"call":{{"call_id":[{id}]}},"call_id":{{"a":{id}}}}}',
    '{{"call":{{"\\ud800":1,"call_id":{id}}}}}',
    '{{"\\udc00":1,"call_id":{id}}}',
    '{{"deep":{deep},"call_id":{id}}}',
    '{{"call\\u005fid":{id}}}',
    '{{"a\tkey":1,"call_id":{id}}}',
    '{{"call_id":"\\ud80017"}}',
    '{{"event":"call_inbound","call_inbound":{{"from_number":"+12137771234"}}}}',
    '[{{"call_id":{id}}}]',
    "",
]
PIECES = ["0", "a", " ", "\t", "\n", "=", "\0", "é", '"', "{", "}", ",", "\\", "\\ud83d", "[", "-", "_", "/"]


def written(random: random.Random, text: str) -> str:
    """A call id as JSON: a string, plain or escaped, or a bare number or boolean."""
    if random.random() < 0.3:
        try:
            if not isinstance(json.loads(text), (dict, list, str)):
                return text
        except ValueError:
            pass
    return json.dumps(text, ensure_ascii=random.random() < 0.5)


def changed_text(random: random.Random, text: str) -> str:
    at, kind = random.randrange(len(text) + 1), random.randrange(6)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + random.choice(PIECES) + text[at:]
    if kind == 2:
        return text[:at] + random.choice(PIECES) + text[at + 1 :]
    if kind == 3:
        return text[:at]
    if kind == 4:
        return text.swapcase()
    return text + random.choice(["=", " ", "\n", text])


def changed_signature(random: random.Random, value: str) -> str:
    kind = random.randrange(6)
    if kind == 0:
        return value.rstrip("=")
    if kind == 1:
        return value.replace("+", "-").replace("/", "_")
    if kind == 2:
        # The last letter holds two bits that no byte uses.
        return value[:-2] + chr(ord(value[-2]) + 1) + "=" if value.endswith("=") else value
    if kind == 3:
        try:
            return base64.b64decode(value).hex()
        except ValueError:
            return value
    return changed_text(random, value)


def flipped(random: random.Random, body: bytes) -> bytes:
    if not body:
        return body
    at = random.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << random.randrange(8)]) + body[at + 1 :]


def make_request(random: random.Random) -> dict:
    key, text, other = random.choice(KEYS), random.choice(IDS), random.choice(IDS)
    deep = "[" * 200 + "]" * 200 if random.random() < 0.5 else "[]"
    body = random.choice(BODIES).format(id=written(random, text), other=written(random, other), deep=deep)
    headers = [(random.choice(SIGNATURES), sign(key, random.choice([text, text, text, other])))]
    if random.random() < 0.3:
        # Bytes of a header that are not ASCII are no call id.
        headers.append((random.choice(CALL_IDS), random.choice([text, text, other, ""])))
    body = body.encode()
    for _ in range(random.choice([0, 1, 1, 1, 1, 2, 3])):
        kind = random.randrange(8)
        at = random.randrange(len(headers)) if headers else None
        if kind == 0:
            body = flipped(random, body)
        elif kind == 1:
            body = changed_text(random, body.decode(errors="replace")).encode(errors="replace")
        elif kind == 2 and at is not None:
            headers[at] = (headers[at][0], changed_text(random, headers[at][1]))
        elif kind == 3 and at is not None:
            headers[at] = (headers[at][0], changed_signature(random, headers[at][1]))
        elif kind == 4 and at is not None:
            headers.append(headers[at])
        elif kind == 5:
            headers.insert(0, (random.choice(SIGNATURES), sign(key, other)))
        elif kind == 6 and at is not None:
            del headers[at]
        elif kind == 7:
            key = random.choice([*KEYS, key + " ", key + "\0", key[:-1]])
    return {"key": key, "headers": headers, "body": body}


def ours(requests: list[dict]) -> list[bool]:
    """Answers of Switchboard, in the order of the requests."""
    lines = "".join(
        json.dumps(
            {
                "signature": {"kind": "synthflow"},
                "keys": [request["key"]],
                "headers": request["headers"],
                "body": base64.b64encode(request["body"]).decode(),
                "time_ms": 0,
            }
        )
        + "\n"
        for request in requests
    )
    command = ["cargo", "run", "--quiet", "--locked", "--example", "verify"]
    output = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True)
    if output.returncode:
        sys.exit(output.stderr)
    return [line == "accept" for line in output.stdout.splitlines()]


def main():
    for vector in VECTORS:
        body = json.dumps({"call_id": vector["call_id"]}).encode()
        header = [(SIGNATURES[0], vector["signature_base64"])]
        assert is_accepted(vector["secret"], header, body), vector["name"]
    generator = random.Random(SEED)
    requests = [make_request(generator) for _ in range(COUNT)]
    answers = ours(requests)
    assert len(answers) == COUNT, f"{len(answers)} answers to {COUNT} requests"
    accepted = refused = documented = different = 0
    for request, answer in zip(requests, answers):
        reference = is_accepted(**request)
        if reference != answer and has_control_character_in_key(request["body"]):
            documented += 1
        elif reference != answer:
            different += 1
            if different <= 10:
                print(f"reference {reference}, Switchboard {answer}: {request}", file=sys.stderr)
        elif answer:
            accepted += 1
        else:
            refused += 1
    print(f"synthflow's scheme, seed {SEED}, {COUNT} requests")
    print(f"{accepted:8}  both accept\n{refused:8}  both refuse")
    print(f"{documented:8}  differ as documented: a control character in a key")
    print(f"{different:8}  differences that are not documented")
    sys.exit(0 if accepted and refused and documented and not different else 1)


main()
