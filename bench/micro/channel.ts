import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { TestWorkers } from '@keyfleet/test-support/workers';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import { systemClock } from '@keyfleet/shared/clock';

/**
 * Commands through the sealed channel to one real worker process: how many a second, and what each costs on either
 * side. `node bench/micro/channel.ts [seconds]`.
 */
const seconds = Number(process.argv[2] ?? 3);
const TICK_US = 10_000;
const keyId = '1234abcd-12ab-34cd-56ef-1234567890ab';

await using cluster = await TestWorkers.start(1);
const { domain } = cluster;
await using pool = new WorkerPool({
  workers: cluster.addresses.map((address) => newWorkerClient(address, plaintextPeers.credentials)),
  host: cluster.host,
  domain,
  clock: systemClock,
  maxInFlight: 10_000,
  onProblem: console.error,
});
const hsm = pool;
const deadline = () => Date.now() + 5000;
const account = '111122223333';
const newKey = { keyId, account, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
const { token } = await hsm.execute('GenerateBackingKey', newKey, deadline());
const encrypt = {
  keyId,
  account,
  token,
  algorithm: 'SYMMETRIC_DEFAULT',
  encryptionContext: { tenant: 'a' },
  plaintext: randomBytes(64),
};

const cases = {
  'no-op (EvictBackingKey)': () => hsm.execute('EvictBackingKey', { materialId: Buffer.alloc(32) }, deadline()),
  Encrypt: () => hsm.execute('Encrypt', encrypt, deadline()),
  'signed GenerateBackingKey': () => hsm.execute('GenerateBackingKey', newKey, deadline()),
};

for (const [name, run] of Object.entries(cases)) {
  for (const clients of [1, 64, 512]) {
    await measure(run, clients, 0.5);
    const { done, frontendUs, workerUs } = await measure(run, clients, seconds);
    console.log(
      `${name.padEnd(26)} ${String(clients).padStart(4)} clients ${String(Math.round(done / seconds)).padStart(7)}/s  ` +
        `frontend ${(frontendUs / done).toFixed(1)} us  worker ${(workerUs / done).toFixed(1)} us`,
    );
  }
}

async function measure(run: () => Promise<unknown>, clients: number, forSeconds: number) {
  const end = performance.now() + forSeconds * 1000;
  const cpu = process.cpuUsage();
  const worker = workerTicks();
  let done = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        await run();
        done++;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { done, frontendUs: user + system, workerUs: (workerTicks() - worker) * TICK_US };
}

/** User and system time of the worker process. */
function workerTicks(): number {
  const stat = readFileSync(`/proc/${cluster.workers[0]!.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
