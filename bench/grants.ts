// What a decision costs by one of many grants to one principal: node bench/grants.ts [--grants 50000]
import type { Grant } from '@keyfleet/frontend/grants/grant';
import { RedisGrantStore } from '@keyfleet/frontend/grants/redis-grant-store';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { monotonicClock } from '@keyfleet/shared/clock';
import { keyAt } from '@keyfleet/shared/stored/names';
import { testMacs } from '@keyfleet/test-support/redis-store';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis } from '@keyfleet/test-support/servers';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { grants: { type: 'string', default: '50000' } } });
const count = Number(values.grants);
const key = { region: 'us-east-1', keyId: '1234abcd-12ab-34cd-56ef-1234567890ab' };
const grantee = 'arn:aws:iam::111122223333:role/volumes';

function grantOf(volume: number): Grant {
  return {
    ...key,
    schemaVersion: 1,
    grantId: volume.toString(16).padStart(64, '0'),
    accountId: '111122223333',
    createdAt: 1_700_000_000_000,
    grantee,
    issuingAccount: '111122223333',
    operations: ['Encrypt', 'Decrypt', 'GenerateDataKey', 'CreateGrant', 'DescribeKey'],
    constraints: { encryptionContextSubset: [['volume', `vol-${volume}`]] },
  };
}

await using server = await startRedis();
await using redis = await connectTestRedis(server.port);
const calls = new RedisCalls({ client: redis, writes: writesOf(redis) });
const store = new RedisGrantStore({ calls, macs: testMacs(), monotonicClock });
await redis.hset(keyAt(key.region, key.keyId), 'revision', 1);
for (let made = 0; made < count; made += 20) {
  await Promise.all(Array.from({ length: 20 }, (_, i) => store.insert(grantOf(made + i), count)));
}

async function measure(what: string, read: () => AsyncIterable<readonly Grant[]>, times: number): Promise<void> {
  const begun = performance.now();
  let grants = 0;
  for (let i = 0; i < times; i++) for await (const page of read()) grants += page.length;
  const ms = ((performance.now() - begun) / times).toFixed(2);
  process.stdout.write(`${what}: ${grants / times} grants read, ${ms} ms\n`);
}

const encrypt = { operation: 'Encrypt', encryptionContext: { volume: `vol-${count - 1}` } } as const;
const wide = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`n${i}`, 'x']));
const memory = /^used_memory_human:(\S+)/m.exec(await redis.info('memory'))?.[1];
process.stdout.write(`${count} grants of one principal, ${memory} of Redis\n`);
await measure('by what they allow', () => store.candidates(key, grantee, encrypt), 1_000);
const among = { ...encrypt, encryptionContext: { ...encrypt.encryptionContext, ...wide } };
await measure('the same, among 51 pairs', () => store.candidates(key, grantee, among), 1_000);
