#!/usr/bin/env node
// Compares how Retell's released library and Switchboard judge the same mutated requests.
//
//     just differential            (or: npm ci && node retell.mjs [COUNT] [SEED])
//
// The requests are the same for the same count and seed. Exits with 1 if the two differ in a way that
// is not in DIFFERENCES, or if one of DIFFERENCES did not occur. Needs Node 20.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import Retell from 'retell-sdk';

const COUNT = Number(process.argv[2] ?? 100_000);
const SEED = Number(process.argv[3] ?? 1);
const ROOT = new URL('../../', import.meta.url).pathname;
const VECTORS = JSON.parse(readFileSync(`${ROOT}tests/fixtures/vectors/retell_vectors.json`)).vectors;

// What the library accepts and Switchboard refuses. Nothing is accepted by Switchboard alone.
const DIFFERENCES = {
  'letters V and D in upper case': ({ header }) => /^[vV]=\d+,[dD]=/.test(header) && !/^v=\d+,d=/.test(header),
  'a timestamp with leading zeros': ({ header }) => /^v=0/i.test(header),
  // The library takes text: whoever calls it has decoded the bytes, and invalid ones became U+FFFD.
  'a body that is not UTF-8': ({ body }) => !Buffer.from(body.toString()).equals(body),
};

// Mulberry32: small, and the same on every machine.
let state = SEED;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (values) => values[below(values.length)];

const KEYS = [
  ...new Set(VECTORS.map((vector) => vector.api_key)),
  'key_of_another_workspace',
  'schlüssel_von_einer_anderen_art',
  'k'.repeat(64),
  'k'.repeat(65),
];
const BODIES = [
  ...VECTORS.map((vector) => Buffer.from(vector.body_base64, 'base64')),
  Buffer.from('{"event":"call_inbound","call_inbound":{"from_number":"\ufffd"}}'),
  Buffer.from('{}'),
  Buffer.from(''),
  Buffer.from('{"event":"call_ended","call":{"transcript":"' + 'word '.repeat(500) + '"}}'),
];

const sign = (body, key, time) => createHmac('sha256', key).update(body).update(time).digest('hex');

function splice(bytes, at, removed, inserted) {
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(inserted), bytes.subarray(at + removed)]);
}

function flip(bytes) {
  if (bytes.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  copy[below(copy.length)] ^= 1 << below(8);
  return copy;
}

function spliceText(text, removed, inserted) {
  const at = below(text.length + 1);
  return text.slice(0, at) + inserted + text.slice(at + removed);
}

// Changes of a request after it was signed.
const CHANGES = {
  body: [
    flip,
    flip,
    (body) => splice(body, below(body.length + 1), 1, []),
    (body) => splice(body, below(body.length + 1), 0, [below(256)]),
    (body) => body.subarray(0, below(body.length + 1)),
    (body) => Buffer.concat([body, Buffer.from(pick([' ', '\n', '\r\n', '\0', '}', '1']))]),
    (body) => Buffer.concat([Buffer.from(pick([' ', '\ufeff'])), body]),
    (body) => Buffer.from(body.toString().normalize(pick(['NFC', 'NFD']))),
    (body) => Buffer.from(body.toString().replaceAll('\\', '')),
    (body) => Buffer.from(body.toString().toUpperCase()),
    (body) => {
      const at = body.indexOf('\ufffd');
      return at < 0 ? body : splice(body, at, 3, [pick([0xff, 0x80, 0xc0, 0xfe])]);
    },
  ],
  header: [
    (header) => flip(Buffer.from(header)).toString('latin1'),
    (header) => spliceText(header, 1, ''),
    (header) => spliceText(header, 0, pick(['0', 'a', ' ', '\t', ',', '=', 'v', '\u0663', '\n', '\0', ';'])),
    (header) => spliceText(header, 1, pick('0123456789abcdefABCDEF,=vd ')),
    (header) => header.slice(0, below(header.length)),
    (header) => header.toUpperCase(),
    (header) => header.slice(0, -64) + header.slice(-64).toUpperCase(),
    (header) => header.replace('v=', pick(['V=', 'v =', 'v= ', ' v=', 't=', 'v=+', 'v=-', '=', 'v==', ''])),
    (header) => header.replace('d=', pick(['D=', 'd =', 'd= ', 'D', 'd=0x', 'd:', ''])),
    (header) => header.replace('v=', 'v=' + '0'.repeat(1 + below(20))),
    (header) => header.replace(',', pick([', ', ' ,', ',,', ';', '&', ''])),
    (header) => header + pick([' ', ',', '\n', '\r\n', 'a', '00', ',d=' + 'a'.repeat(64), ',x=1', header]),
    (header) => header.split(',').reverse().join(','),
    (header) => header.replace(/v=\d+/, (time) => time + pick(['.0', 'e0', 'n', '0', '\u0660'])),
    (header) => header.replace(/\d{13}/, (time) => `${Number(time) + pick([-1, 1, 1000, -1000])}`),
    () => '',
    () => pick(['v=,d=', 'v=1,d=1', 'null', 'undefined', 'v', `v=${'9'.repeat(1 + below(30))},d=${'0'.repeat(64)}`]),
  ],
  key: [
    () => pick(KEYS),
    (key) => key + pick([' ', '\n', '\0', 'x']),
    (key) => key.slice(0, -1),
    (key) => key.toUpperCase(),
  ],
};

// Distance of the signature's time from the time of arrival.
const AGES = [0, 1, -1, 299_999, 300_000, 300_001, -299_999, -300_000, -300_001, 3_600_000, -3_600_000, 86_400_000];

function makeRequest() {
  const signedAt = 1_780_000_000_000 + below(1e12);
  const request = { key: pick(KEYS), body: pick(BODIES), now: signedAt + (random() < 0.5 ? 0 : pick(AGES)) };
  // The time as it is signed: now and then in another unit, or written in another way.
  const time = `${signedAt}`;
  const written = random() < 0.9 ? time : pick([`0${time}`, time.slice(0, 10), `${time}000`, `${time}.0`, `-${time}`]);
  const covered = random() < 0.5 ? written : `${Number(written)}`;
  request.header = `v=${written},d=${sign(request.body, request.key, covered)}`;
  for (let changes = pick([0, 1, 1, 1, 1, 1, 2, 3]); changes > 0; changes -= 1) {
    const part = pick(Object.keys(CHANGES));
    request[part] = pick(CHANGES[part])(request[part]);
  }
  return request;
}

async function libraryAccepts({ key, body, header, now }) {
  Date.now = () => now;
  return Retell.verify(body.toString(), key, header);
}

/** Answers of Switchboard, in the order of the requests. */
async function ours(requests) {
  const command = ['run', '--quiet', '--locked', '--example', 'verify'];
  const child = spawn('cargo', command, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = (async () => {
    const lines = [];
    for await (const line of createInterface({ input: child.stdout })) lines.push(line === 'accept');
    return lines;
  })();
  for (const { key, body, header, now } of requests) {
    const headers = [['x-retell-signature', header]];
    const line = { signature: { kind: 'retell' }, keys: [key], headers, body: body.toString('base64'), time_ms: now };
    if (!child.stdin.write(`${JSON.stringify(line)}\n`)) {
      await new Promise((resolve) => child.stdin.once('drain', resolve));
    }
  }
  child.stdin.end();
  return answers;
}

const requests = Array.from({ length: COUNT }, makeRequest);
const accepted = await ours(requests);
if (accepted.length !== COUNT) throw new Error(`${accepted.length} answers to ${COUNT} requests`);
const counts = { 'both accept': 0, 'both refuse': 0 };
for (const name of Object.keys(DIFFERENCES)) counts[`only the library accepts: ${name}`] = 0;
let unexpected = 0;
for (const [at, request] of requests.entries()) {
  const theirs = await libraryAccepts(request);
  if (theirs === accepted[at]) {
    counts[theirs ? 'both accept' : 'both refuse'] += 1;
    continue;
  }
  const known = theirs && Object.keys(DIFFERENCES).find((name) => DIFFERENCES[name](request));
  if (known) {
    counts[`only the library accepts: ${known}`] += 1;
  } else if ((unexpected += 1) <= 10) {
    const { key, header, now } = request;
    console.error(`request ${at}: library ${theirs}, Switchboard ${accepted[at]}`, { key, header, now }, request.body);
  }
}
console.log(`retell-sdk, seed ${SEED}, ${COUNT} requests`);
for (const [name, count] of Object.entries(counts)) console.log(`${String(count).padStart(8)}  ${name}`);
console.log(`${String(unexpected).padStart(8)}  differences that are not documented`);
process.exit(unexpected === 0 && Object.values(counts).every((count) => count > 0) ? 0 : 1);
