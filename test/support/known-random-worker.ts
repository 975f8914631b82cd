// The hsm-worker with backing keys that the test knows, so that it can look for them where they must not be. Everything
// else stays random. What is replaced is Node's source of randomness, before the worker's main sees it.
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { knownBackingKey } from './known-backing-keys.ts';

const memberId = basename(process.argv.at(-1) ?? '', '.json');
const trulyRandom = crypto.randomBytes;
let made = 0;

function randomBytes(length: number): Buffer {
  const isBackingKey = new Error().stack?.includes('at generateBackingKey ') === true;
  return isBackingKey ? knownBackingKey(memberId, made++, length) : trulyRandom(length);
}

crypto.randomBytes = randomBytes as typeof crypto.randomBytes;
syncBuiltinESMExports();
await import('@keyfleet/hsm-worker/main');
