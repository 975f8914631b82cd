// What it costs to verify a record that comes from Redis, and to make its MAC: node bench/micro/record-mac.ts. CPU
// time.
import { isMacOf, joinMac, recordMac, splitMac } from '@keyfleet/frontend/store/record-mac';
import { createSecretKey } from 'node:crypto';

const RECORDS = 50_000;
const BATCHES = 5;
const key = createSecretKey(Buffer.alloc(32, 7));
const place = { name: 'kf:key:{us-east-1/1234abcd-12ab-34cd-56ef-1234567890ab}', field: 'record' };

function microseconds(work: () => void): number {
  const batches = Array.from({ length: BATCHES }, () => {
    const before = process.cpuUsage();
    for (let i = 0; i < RECORDS; i++) work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / RECORDS;
  });
  return Math.min(...batches);
}

for (const length of [300, 1_000, 4_000, 32_000]) {
  const record = JSON.stringify({ policy: 'x'.repeat(length) });
  const stored = joinMac({ record, keyNumber: 1, mac: recordMac(key, place, record) });
  const verifying = microseconds(() => {
    if (!isMacOf(key, place, splitMac(stored)!)) throw new Error('not authentic');
  });
  const making = microseconds(() => void recordMac(key, place, record));
  console.log(`${length} bytes: verify ${verifying.toFixed(1)} us, make ${making.toFixed(1)} us`);
}
