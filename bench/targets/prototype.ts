import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { awsJson } from './aws-json.ts';
import type { Target } from './target.ts';

/** The bare prototype: Encrypt and Decrypt, in two processes. */
export async function startPrototype(name: string): Promise<Target & AsyncDisposable> {
  const secretAccessKey = 'prototype';
  const prototype = fork(join(import.meta.dirname, '../prototype/prototype.ts'), [secretAccessKey]);
  const [{ port, workerPid }] = (await once(prototype, 'message')) as [{ port: number; workerPid: number }];
  const signing = { region: 'us-east-1', accessKeyId: 'AKIAPROTOTYPE', secretAccessKey };
  return {
    name,
    endpoint: { transport: 'http1', tls: false, host: '127.0.0.1', port, signing },
    protocol: awsJson(),
    processes: () => ({ frontend: prototype.pid ?? 0, 'hsm-worker-1': workerPid }),
    async [Symbol.asyncDispose]() {
      const ended = once(prototype, 'exit');
      prototype.disconnect();
      await ended;
    },
  };
}
