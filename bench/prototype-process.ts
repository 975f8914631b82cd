import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Measurement, measure } from './measure.ts';

export interface PrototypeRun {
  readonly connections: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

/** Starts the prototype, runs Encrypt against it, stops it. */
export async function measurePrototype(run: PrototypeRun): Promise<Measurement> {
  const secretAccessKey = 'prototype';
  const prototype = fork(join(import.meta.dirname, 'prototype.ts'), [secretAccessKey]);
  try {
    const [{ port, workerPid }] = (await once(prototype, 'message')) as [{ port: number; workerPid: number }];
    const target = { host: '127.0.0.1', port, region: 'us-east-1', accessKeyId: 'AKIAPROTOTYPE', secretAccessKey };
    const bodies = [JSON.stringify({ KeyId: 'prototype', Plaintext: Buffer.alloc(32, 7).toString('base64') })];
    const processes = { frontend: prototype.pid ?? 0, 'hsm-worker-1': workerPid };
    return await measure({ ...run, target, operation: 'Encrypt', bodies }, processes);
  } finally {
    prototype.disconnect();
  }
}
