import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Generators } from '../load/generators.ts';
import type { Signing } from '../wire/endpoint.ts';
import type { GeneratorLimit } from './results.ts';

const TIMING = { warmupMs: 700, measureMs: 1000, sliceMs: 1000 };

/** What the generator reaches against a server that answers at once, with signed requests of the usual size. */
export async function measureGeneratorLimit(generators: Generators, connections: number): Promise<GeneratorLimit> {
  const server = fork(join(import.meta.dirname, '../load/null-server.ts'));
  try {
    const [port] = (await once(server, 'message')) as [number];
    const signing: Signing = { region: 'us-east-1', accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'none' };
    const endpoint = { transport: 'http1', tls: false, host: '127.0.0.1', port, signing } as const;
    const headers = { 'x-amz-target': 'TrentService.Encrypt' };
    const requests = [{ method: 'POST', path: '/', headers, body: JSON.stringify({ Plaintext: 'A'.repeat(44) }) }];
    const job = {
      endpoint,
      pools: [{ operation: 'Encrypt', weight: 1, requests }],
      choice: { kind: 'turn' },
      loop: { kind: 'closed', connections },
      ...TIMING,
    } as const;
    const result = await generators.start(job).result;
    const cpu = result.generators.reduce((sum, one) => sum + one.cpu, 0);
    const perSecond = result.requests / result.seconds;
    return { perSecond, cpu: (cpu * 1e6) / Math.max(1, perSecond), processes: result.generators.length };
  } finally {
    server.disconnect();
  }
}
