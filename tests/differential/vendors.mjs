// Judges the requests of vendors.py with the released npm libraries: one JSON object a line in, one line out,
// `accept` or `refuse`.

import { readFileSync } from 'node:fs';
import { ElevenLabsClient } from '@elevenlabs/elevenlabs-js';
import OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';
import { TelnyxWebhook } from 'telnyx/lib/webhooks';
import twilio from 'twilio';

const openai = new OpenAI({ apiKey: 'unused' });
const elevenlabs = new ElevenLabsClient({ apiKey: 'unused' });

// Each returns a false value, or throws, for a request that it refuses.
const VERIFIERS = {
  twilio: ({ key, url, params, headers, body }) =>
    params
      ? twilio.validateRequest(key, headers['x-twilio-signature'] ?? '', url, params)
      : body
        ? twilio.validateRequestWithBody(key, headers['x-twilio-signature'] ?? '', url, body)
        : twilio.validateRequest(key, headers['x-twilio-signature'] ?? '', url, {}),
  telnyx: async ({ key, headers, body }) => (await new TelnyxWebhook(key).verify(body, headers), true),
  elevenlabs: async ({ key, headers, body }) =>
    (await elevenlabs.webhooks.constructEvent(body, headers['elevenlabs-signature'], key), true),
  openai: async ({ key, headers, body }) => (await openai.webhooks.verifySignature(body, headers, key), true),
  standardwebhooks: ({ key, headers, body }) => (new Webhook(key).verify(body, headers), true),
};

const answers = [];
for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const request = JSON.parse(line);
  Date.now = () => request.time_ms;
  let accepted = false;
  try {
    accepted = await VERIFIERS[request.platform](request);
  } catch {
    // Refused.
  }
  answers.push(accepted ? 'accept' : 'refuse');
}
process.stdout.write(`${answers.join('\n')}\n`);
