import type { TestCluster } from '@keyfleet/test-support/cluster';
import { Redis } from 'ioredis';
import { loopName, type Point } from '../measure/results.ts';
import { stallsOf } from '../measure/stalls.ts';
import { type PointSummary, summarize } from '../measure/summary.ts';
import { untilIdle } from '../observe/process-cpu.ts';
import type { BudgetRun } from './budget-run.ts';
import { firstAndSteady, proportionalMemory, restartAll } from './cold-start.ts';
import { primitiveCosts } from './primitives.ts';
import type { Row } from './row.ts';

/** What a section measures on. */
export interface Ground {
  readonly run: BudgetRun;
  readonly cluster: TestCluster;
}

const OWN = ['keyfleet'];
const START = 'start';
const IDLE_MS = 60_000;
const MOST_STALL_MS = 20;
const callers = [64, 16, 1];

export async function atRest({ run, cluster }: Ground): Promise<Row[]> {
  const pids = cluster.names.map((name) => cluster.pid(name) ?? 0);
  await untilIdle(pids, IDLE_MS);
  const memory = proportionalMemory(pids);
  // What follows makes its key now, so that the restarted cluster is asked nothing first.
  await run.measure(OWN, '--scenario encrypt --context 0 --connections 1 --seconds 1 --warmup 0', START);
  const seconds = await restartAll(cluster);
  const settings = '--scenario encrypt --context 0 --connections 16 --seconds 15 --warmup 0';
  const [point] = await run.measure(OWN, settings, START);
  const { first, steady } = firstAndSteady(point!.rounds[0]!);
  const again = 'budget';
  return [
    row('memory of the development cluster, idle', '<= 450 MiB', memory, 'MiB', (it) => it <= 450, again),
    row('start, warm', '< 5 s', seconds, 's', (it) => it < 5, again),
    {
      row: 'the first 1,000 requests, 16 connections: p50',
      wanted: '<= 2 x the steady one',
      measured: `${first.toFixed(2)} ms, ${(first / steady).toFixed(1)} x ${steady.toFixed(2)} ms`,
      met: first <= 2 * steady,
      again: settings,
    },
  ];
}

interface Rival {
  readonly name: string;
  readonly operations: readonly string[];
  /** Connections -> least ratio of the rates. */
  readonly wanted: Readonly<Record<number, number>>;
}

const operations = ['encrypt', 'decrypt', 'generate-data-key'];
const rivals: readonly Rival[] = [
  { name: 'prototype', operations: ['encrypt', 'decrypt'], wanted: { 1: 0.75, 16: 0.75, 64: 0.75 } },
  { name: 'openbao', operations, wanted: { 1: 1.2, 16: 2, 64: 3 } },
  { name: 'local-kms', operations, wanted: { 64: 1 } },
];

/** Encrypt, Decrypt and GenerateDataKey beside the others, in turn. */
export async function besideOthers({ run }: Ground): Promise<Row[]> {
  const there = rivals.filter(({ name }) => run.has(name));
  const settings = `--context 0 --connections ${callers.join(',')} --seconds 2.5 --warmup 2`;
  const rows: Row[] = [];
  for (const scenario of operations) {
    const beside = there.filter((one) => one.operations.includes(scenario));
    const points = await run.measure([...OWN, ...beside.map(({ name }) => name)], `--scenario ${scenario} ${settings}`);
    rows.push(...beside.flatMap((rival) => ratioRows(points, rival, scenario)));
  }
  return rows;
}

function ratioRows(points: readonly Point[], { name, wanted }: Rival, scenario: string): Row[] {
  return Object.entries(wanted).map(([connections, least]) => {
    const [own, other] = [OWN[0]!, name].map((target) => summaryOf(points, target, Number(connections)));
    const ratio = own!.perSecond.median / other!.perSecond.median;
    const cpu = `CPU ${own!.cpu.median.toFixed(0)} to ${other!.cpu.median.toFixed(0)} us`;
    return {
      row: `${scenario} / ${name}, ${loopName({ kind: 'closed', connections: Number(connections) })}`,
      wanted: `>= ${least}${name === 'local-kms' ? ', CPU no higher' : ''}`,
      measured: `${ratio.toFixed(2)} (${own!.perSecond.median.toFixed(0)} to ${other!.perSecond.median.toFixed(0)}/s), ${cpu}`,
      met: ratio >= least && (name !== 'local-kms' || own!.cpu.median <= other!.cpu.median),
      again: `--target keyfleet --target ${name} --scenario ${scenario} --context 0 --connections ${connections}`,
    };
  });
}

export async function makingKeys({ run, cluster }: Ground): Promise<Row[]> {
  const settings = '--scenario create-key --connections 64,1 --seconds 4 --warmup 2';
  const before = await storeSize(cluster);
  const points = await run.measure(OWN, settings);
  const after = await storeSize(cluster);
  const [many, one] = [summaryOf(points, OWN[0]!, 64), summaryOf(points, OWN[0]!, 1)];
  const each = (after.bytes - before.bytes) / (after.keys - before.keys);
  const rows = [
    row('CreateKey, durable, 64 connections', '>= 4 k/s', many.perSecond.median, '/s', (it) => it >= 4000, settings),
    row('CreateKey, durable, 1 connection: p50', '< 2 ms', one.p50.median, 'ms', (it) => it < 2, settings),
    row('Redis, a key', '< 1,500 bytes', each, 'bytes', (it) => it < 1500, 'budget'),
  ];
  for (const size of [2048, 3072, 4096]) {
    const rare = `--scenario create-key-rsa-${size} --connections 1 --rate 2 --seconds 4 --warmup 0`;
    const { p50 } = summarize((await run.measure(OWN, rare))[0]!);
    rows.push(row(`CreateKey RSA_${size}, 2 a second: p50`, '< 10 ms', p50.median, 'ms', (it) => it < 10, rare));
  }
  return rows;
}

async function storeSize({ home, ports }: TestCluster): Promise<{ bytes: number; keys: number }> {
  const redis = new Redis({ port: ports.redis, host: '127.0.0.1', password: home.secret('redis-password') });
  try {
    const bytes = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1];
    return { bytes: Number(bytes), keys: await redis.dbsize() };
  } finally {
    redis.disconnect();
  }
}

/** The CPU of the whole path against that of the operation itself. */
export async function heavyOperations({ run }: Ground): Promise<Row[]> {
  const settings = (scenario: string) => `--scenario ${scenario} --connections 64 --seconds 2.5 --warmup 2`;
  const overhead = summarize((await run.measure(OWN, settings('encrypt')))[0]!).cpu.median;
  const rows: Row[] = [];
  for (const [scenario, primitive] of Object.entries(await primitiveCosts())) {
    const { cpu } = summarize((await run.measure(OWN, settings(scenario)))[0]!);
    const most = 1.5 * primitive + overhead;
    rows.push({
      row: `${scenario}, CPU of the whole path`,
      wanted: `<= 1.5 x ${primitive.toFixed(0)} + an Encrypt's ${overhead.toFixed(0)} us`,
      measured: `${cpu.median.toFixed(0)} us of ${most.toFixed(0)}`,
      met: cpu.median <= most,
      again: settings(scenario),
    });
  }
  return rows;
}

export async function overGrpc({ run }: Ground): Promise<Row[]> {
  const settings = '--scenario encrypt --connections 64 --seconds 3 --warmup 3 --rounds 2';
  const points = await run.measure([...OWN, 'keyfleet-grpc'], settings);
  const [http, grpc] = [...OWN, 'keyfleet-grpc'].map((name) => summaryOf(points, name, 64).perSecond.median);
  return [
    {
      row: 'gRPC Encrypt, 64 connections',
      wanted: "at least HTTP's rate",
      measured: `${grpc!.toFixed(0)} to ${http!.toFixed(0)}/s`,
      met: grpc! >= http!,
      again: `--target keyfleet --target keyfleet-grpc ${settings}`,
    },
  ];
}

/** Arrivals at half of the peak, alone and while something happens. */
export async function atHalf({ run }: Ground): Promise<Row[]> {
  const settings = (during: string) => `--scenario encrypt --connections 64 --rate 50% --seconds 6 --warmup 1${during}`;
  const p99 = async (during: string) => {
    const points = await run.measure(OWN, settings(during));
    return summarize(points.find(({ loop }) => loop.kind === 'open')!);
  };
  const alone = await p99('');
  const rows = [row('p99 at half of the peak', '< 10 ms', alone.p99.median, 'ms', (it) => it < 10, settings(''))];
  for (const event of ['rotation', 'kill-hsm-worker']) {
    const during = ` --during ${event}`;
    const found = await p99(during);
    const failed = Object.values(found.failures).reduce((sum, one) => sum + one, 0);
    rows.push({
      row: `the same during ${event}`,
      wanted: 'at most twice that',
      measured: `${found.p99.median.toFixed(1)} ms, ${failed} failed`,
      met: found.p99.median <= 2 * alone.p99.median && failed === 0,
      again: settings(during),
    });
  }
  return rows;
}

export async function manyKeys({ run }: Ground, keys: number): Promise<Row[]> {
  const settings = (count: number) => `--scenario encrypt --keys ${count} --use uniform --connections 16 --seconds 4`;
  const few = summarize((await run.measure(OWN, settings(1)))[0]!);
  const random = summarize((await run.measure(OWN, settings(keys)))[0]!);
  const hot = summarize((await run.measure(OWN, settings(1)))[0]!);
  const written = keys.toLocaleString('en');
  const ratio = random.perSecond.median / hot.perSecond.median;
  return [
    {
      row: `a hot key's p50 with ${written} stored against before`,
      wanted: '<= 1.1 x',
      measured: `${(hot.p50.median / few.p50.median).toFixed(2)} x`,
      met: hot.p50.median <= 1.1 * few.p50.median,
      again: settings(1),
    },
    row(`uniformly of ${written} keys / the hot one`, '>= 0.7', ratio, 'x', (it) => it >= 0.7, settings(keys)),
  ];
}

/** The longest of the whole run, with whose it was. */
export function stalls(points: readonly Point[]): Row {
  const found = stallsOf(points);
  const { scenario, process, ms } = found[0]!;
  const over = found.filter((one) => one.ms > MOST_STALL_MS).length;
  return {
    row: 'event-loop stalls, all of this run',
    wanted: `none over ${MOST_STALL_MS} ms`,
    measured: `${ms.toFixed(0)} ms (${process}, ${scenario}); over ${MOST_STALL_MS} ms in ${over} of ${found.length} readings`,
    met: over === 0,
    again: 'budget',
  };
}

function summaryOf(points: readonly Point[], target: string, connections: number): PointSummary {
  return summarize(points.find((point) => point.target === target && point.loop.connections === connections)!);
}

function row(
  what: string,
  wanted: string,
  value: number,
  unit: string,
  isMet: (value: number) => boolean,
  again: string,
): Row {
  return { row: what, wanted, measured: `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`, met: isMet(value), again };
}
