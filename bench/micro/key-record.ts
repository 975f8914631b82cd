// What a key's record costs where no cache has it, and a key in Redis: node bench/micro/key-record.ts [keys].
import { decodeKey, encodeKey } from '@keyfleet/frontend/store/key-record';
import { sealedPartOfKey } from '@keyfleet/frontend/store/sealed-part';
import { keyAt } from '@keyfleet/shared/stored/names';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { openStore } from '@keyfleet/test-support/redis-store';
import { startRedis } from '@keyfleet/test-support/servers';
import { costOf } from './cost.ts';
import { newUsualKey } from './usual-key.ts';

const AT_ONCE = 128;
const keys = Number(process.argv[2] ?? 2816);

const key = newUsualKey();
const text = encodeKey(key);
const micros = async (call: () => unknown) => (await costOf(100_000, call)).toFixed(1);
process.stdout.write(
  `record of ${text.length} characters: write ${await micros(() => encodeKey(key))}, read ${await micros(() => decodeKey(text, key))}, find its tokens ${await micros(() => sealedPartOfKey(text, `${key.region}/${key.keyId}`))} us of CPU\n`,
);

await using server = await startRedis();
await using client = await connectTestRedis(server.port);
// As the launcher's Redis (tools/servers/redis.ts).
await client.config('SET', 'hash-max-listpack-value', '4096');
const store = openStore({ client, writes: writesOf(client), clock: { now: Date.now } });
const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
const before = await usedMemory();
for (let made = 0; made < keys; made += AT_ONCE)
  await Promise.all(Array.from({ length: AT_ONCE }, () => store.insertKey(newUsualKey())));
const bytes = ((await usedMemory()) - before) / keys;
await store.insertKey(key);
const own = await client.memory('USAGE', keyAt(key.region, key.keyId));
process.stdout.write(`${keys} keys in Redis: ${bytes.toFixed(0)} bytes each, ${own} of them the record's\n`);
