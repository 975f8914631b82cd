// What backup, restore and the doctor's census cost with many keys: node bench/backup.ts [--keys 1000000]
import { Progress } from '@keyfleet/cli/progress';
import { openRedis } from '@keyfleet/cli/redis-option';
import { countTokens } from '@keyfleet/cli/sealed-census';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { keyListsAt } from '@keyfleet/shared/stored/key-list';
import { Redis } from 'ioredis';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { makeKeyRecords } from '../test/support/key-records.ts';
import { watchPeakMemory } from '../test/support/peak-memory.ts';
import { startRedis } from '../test/support/servers.ts';
import { machine } from './report.ts';

const { values } = parseArgs({ options: { keys: { type: 'string', default: '1000000' } } });
const keys = Number(values.keys);
const main = join(import.meta.dirname, '../packages/cli/src/main.ts');

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await using server = await startRedis();
const redis = new Redis(server.port);
const dir = mkdtempSync(join(tmpdir(), 'keyfleet-bench-'));
const file = join(dir, 'backup');

/** Runs a command line of keyfleet, and says what it cost: time, memory, and the longest that it held Redis up. */
async function measure(...args: readonly string[]): Promise<void> {
  await redis.config('SET', 'slowlog-log-slower-than', '1000', 'slowlog-max-len', '10000');
  await redis.slowlog('RESET');
  const begun = performance.now();
  const child = spawn(process.execPath, [main, ...args, '--redis', `redis://127.0.0.1:${server.port}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  using peak = watchPeakMemory(child.pid!);
  const [exitCode] = (await once(child, 'exit')) as [number];
  const seconds = (performance.now() - begun) / 1000;
  const slow = (await redis.slowlog('GET', 10_000)) as [number, number, number, string[]][];
  const longest = slow.toSorted((a, b) => b[2] - a[2])[0];
  say(
    `${args[0]}: ${seconds.toFixed(1)} s (exit ${exitCode}), ${(peak.bytes / 1e6).toFixed(0)} MB, longest command ${longest === undefined ? 'under 1 ms' : `${(longest[2] / 1000).toFixed(1)} ms (${longest[3].slice(0, 2).join(' ')})`}, ${slow.length} over 1 ms`,
  ); // prettier-ignore
}

/** A token that says under which domain key it is; nothing opens it. */
function tokenUnder(domainKeyId: string): Buffer {
  const Header = defineFormat('bench/header/1', z.object({ domain: z.string(), domainKeyId: z.string() }));
  const writer = new Writer();
  writer.bytes(Header.encode({ domain: 'bench', domainKeyId }));
  writer.bytes(Buffer.alloc(120, 7));
  return writer.finish();
}

/** What `keyfleet doctor --census` adds to the doctor. */
async function measureCensus(): Promise<void> {
  await using client = await openRedis({ redis: `redis://127.0.0.1:${server.port}` });
  const begun = performance.now();
  const { byDomainKey } = await countTokens(client, new Progress({ note: say }));
  say(`census: ${((performance.now() - begun) / 1000).toFixed(1)} s, ${[...byDomainKey.values()].join(', ')} tokens`);
}

try {
  const { commit, cores, cpu, node } = await machine();
  say(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; everything on this machine`);
  await makeKeyRecords(redis, keys, { token: tokenUnder('0'.repeat(32)).toString('base64') });
  say(`${keys} keys`);
  await measure('backup', '--out', file);
  say(`  ${(statSync(file).size / keys).toFixed(0)} bytes a key`);
  await redis.flushall('SYNC');
  await measure('restore', file);
  const lists = keyListsAt({ accountId: '111122223333', region: 'us-east-1' });
  const listed = await Promise.all(lists.map((list) => redis.zcard(list)));
  say(`  ${listed.reduce((sum, size) => sum + size, 0)} keys are listed`);
  await measureCensus();
} finally {
  redis.disconnect();
  rmSync(dir, { recursive: true });
}
