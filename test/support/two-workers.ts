import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/executor';
import { LoopbackWorker, startLoopbackPool } from './loopback-worker.ts';
import { FakeDomain, newHost } from './session-pair.ts';

export type RandomHandler = CommandHandlers['GenerateRandom'];
export const host = newHost();
/** Commands in one turn: too many for the frame of one worker. */
export const MANY = 40;

/** A worker answers GenerateRandom with its own number. */
export const answering =
  (number: number): RandomHandler =>
  () => ({ bytes: Buffer.of(number) });

/** Two workers of one domain, each with its GenerateRandom, and a frontend's pool over them. */
export async function startTwoWorkers(first: RandomHandler, second: RandomHandler) {
  const domain = new FakeDomain([host]);
  const workers = [
    new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: first }),
    new LoopbackWorker(domain, 'hsm-2', { GenerateRandom: second }),
  ] as const;
  const frontend = await startLoopbackPool({ domain, host, workers });
  const ask = async (ms = 1000) => {
    const { bytes } = await frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + ms);
    return bytes[0];
  };
  const tellAll = (ms: number) => frontend.executeEverywhere('GenerateRandom', { length: 1 }, domain.clock.now() + ms);
  return {
    domain,
    workers,
    pool: frontend.pool,
    hsm: frontend.pool,
    ask,
    tellAll,
    [Symbol.asyncDispose]: () => frontend[Symbol.asyncDispose](),
  };
}
