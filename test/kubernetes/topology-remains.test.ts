import { execa } from 'execa';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../tools/readiness.ts';
import { Network } from './support/topology/network.ts';
import { remainsOf } from './support/topology/remains.ts';

test('what a killed run leaves is removed when the next one starts', async () => {
  const run = spawn(process.execPath, [join(import.meta.dirname, 'support/topology/killed-run.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(run.stdout, 'data');
  const left = () => remainsOf((pid) => pid === run.pid);
  const before = await left();
  const [namespace] = before.namespaces;
  expect(before).toEqual({
    namespaces: [expect.anything()],
    links: [expect.stringMatching(/^kf/), expect.stringMatching(/^vkf/)],
    directories: [expect.anything()],
  });
  const processes = async () => (await execa('ip', ['netns', 'pids', namespace!])).stdout;
  expect(
    await until(
      async () => (await processes()) !== '',
      10_000,
      () => false,
    ),
  ).toBe(true);

  run.kill('SIGKILL');
  await once(run, 'exit');
  // By themselves.
  expect(
    await until(
      async () => (await processes()) === '',
      10_000,
      () => false,
    ),
  ).toBe(true);
  await using _ = await Network.start();
  expect(await left()).toEqual({ namespaces: [], links: [], directories: [] });
});
