import { join } from 'node:path';
import { execa } from 'execa';
import { expect, inject, test } from 'vitest';
import { awsEnvironment } from './environment.ts';

const { python } = inject('programs');
const { endpoint } = inject('cluster');

test.runIf(python)('boto3 makes, lists, uses and is refused keys as on AWS', async () => {
  const script = join(import.meta.dirname, 'boto3-program.py');
  const { stdout } = await execa(python!, [script, endpoint], { env: awsEnvironment() });
  expect(stdout).toBe('done');
});
