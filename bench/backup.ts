// What backup, restore and the doctor's census cost with many keys: node bench/backup.ts [--keys 1000000]
import { Progress } from '@keyfleet/cli/progress';
import { openRedis } from '@keyfleet/cli/redis-option';
import { countTokens } from '@keyfleet/cli/sealed-census';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { keyListsAt } from '@keyfleet/shared/stored/key-list';
import { makeKeyRecords } from '@keyfleet/test-support/key-records';
import { startRedis } from '@keyfleet/test-support/servers';
import { Redis } from 'ioredis';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { measureCommand } from './measure/command-line.ts';
import { machine } from './observe/machine.ts';

const { values } = parseArgs({ options: { keys: { type: 'string', default: '1000000' } } });
const keys = Number(values.keys);
/** Of Redis's own time. */
const SLOW_US = 2_000;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await using server = await startRedis();
const redis = new Redis(server.port);
const dir = mkdtempSync(join(tmpdir(), 'keyfleet-bench-'));
const file = join(dir, 'backup');

/**
 * Real-time priority, where that is allowed: then what Redis says of a command is what the command took, and no other
 * process's turn.
 */
async function preferRedis(): Promise<boolean> {
  const pid = /^process_id:(\d+)/m.exec(await redis.info('server'))?.[1] ?? '';
  return spawnSync('chrt', ['--fifo', '--pid', '1', pid]).status === 0;
}

/** Runs a command line of keyfleet, and says what it cost: time, memory, and how long its commands held Redis up. */
async function measure(...args: readonly string[]): Promise<void> {
  await redis.config('RESETSTAT');
  await redis.slowlog('RESET');
  const target = `redis://127.0.0.1:${server.port}`;
  const { seconds, exitCode, memory } = await measureCommand(...args, '--redis', target);
  const slowest = (await latencies()).map(({ name, p50, p999 }) => `${name} ${p50}/${p999} ms`).slice(0, 3);
  say(`${args[0]}: ${seconds.toFixed(1)} s (exit ${exitCode}), ${memory.toFixed(0)} MB; slowest commands, p50/p99.9: ${slowest.join(', ')}`); // prettier-ignore
  await saySlow();
}

/** Commands that took more than `SLOW_US`. */
async function saySlow(): Promise<void> {
  const entries = (await redis.slowlog('GET', 1000)) as [number, number, number, string[]][];
  const longest = entries.toSorted(([, , a], [, , b]) => b - a).slice(0, 5);
  const texts = longest.map(
    ([, , microseconds, args]) => `${microseconds / 1000} ms ${args.slice(0, 5).join(' ').slice(0, 90)}`,
  );
  say(`  ${entries.length} commands over ${SLOW_US / 1000} ms${texts.map((text) => `\n    ${text}`).join('')}`);
}

/**
 * Of each command since the counters were reset, slowest first. Time that another process had the core counts too:
 * hence no maximum.
 */
async function latencies(): Promise<{ name: string; p50: number; p999: number }[]> {
  const info = await redis.info('latencystats');
  const found = [...info.matchAll(/^latency_percentiles_usec_(\w+):p50=([\d.]+),p99=[\d.]+,p99\.9=([\d.]+)/gm)];
  return found
    .map(([, name = '', p50, p999]) => ({
      name,
      p50: Math.round(Number(p50)) / 1000,
      p999: Math.round(Number(p999)) / 1000,
    }))
    .filter(({ name }) => !['config', 'info'].includes(name))
    .toSorted((a, b) => b.p50 - a.p50);
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
  await redis.config('SET', 'slowlog-log-slower-than', String(SLOW_US), 'slowlog-max-len', '1000');
  const undisturbed = (await preferRedis())
    ? 'Redis before everything else'
    : 'times of Redis are with those of others';
  say(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; everything on this machine, ${undisturbed}`);
  await makeKeyRecords(redis, keys, { token: tokenUnder('0'.repeat(32)).toString('base64') });
  say(`${keys} keys`);
  await measure('backup', '--out', file);
  say(`  ${(statSync(file).size / keys).toFixed(0)} bytes a key`);
  await redis.flushall('SYNC');
  await measure('restore', file);
  const lists = keyListsAt({ accountId: '111122223333', region: 'us-east-1' });
  const listed = await Promise.all(lists.map((list) => redis.zcard(list)));
  say(`  ${listed.reduce((sum, size) => sum + size, 0)} keys are listed`);
  await redis.slowlog('RESET');
  await measureCensus();
  await saySlow();
} finally {
  redis.disconnect();
  rmSync(dir, { recursive: true });
}
