import type { Costs, Inputs } from './inputs.ts';

/** Microseconds of one core in a second. */
const CORE = 1_000_000;

/** Assumed, not measured. */
export interface Assumptions {
  /** Part of a core that is used before latency rises. */
  readonly busy: number;
  /** Seconds that a stream between a frontend and a worker lasts: sessions are renewed at half of their hour. */
  readonly streamSeconds: number;
  /** The part of all calls that change a key, each a notice to every frontend. */
  readonly changes: number;
}

export const usualAssumptions: Assumptions = { busy: 0.7, streamSeconds: 1800, changes: 0.001 };

export interface Capacity {
  readonly cores: number;
  /** One process each, on one core. */
  readonly frontends: number;
  readonly workers: number;
  /** Encrypts a second that frontends and workers carry. */
  readonly encrypts: number;
  /** The same if every Encrypt had a frame to itself. */
  readonly encryptsAlone: number;
  /** Part of the frontends' time that notices take, at that rate. */
  readonly noticeShare: number;
  /** Part of all cores' time that opening streams takes: each frontend has one with each worker. */
  readonly streamShare: number;
  /** CreateKeys a second: the least of what frontends and workers, and the one thread of one Redis, carry. */
  readonly createKeys: number;
  readonly createKeyWall: 'frontends and workers' | 'one Redis';
  /** Encrypts a second of keys of which no frontend has the record: one read of Redis each. */
  readonly coldEncrypts: number;
  readonly coldWall: 'frontends and workers' | 'one Redis';
}

/** Cores are dealt to frontends and workers in proportion to their costs. */
export function capacityOf(inputs: Inputs, cores: number, assumptions: Assumptions = usualAssumptions): Capacity {
  const { encrypt, encryptAlone, createKey, streamOpening, notice } = inputs;
  const { frontends, workers } = dealt(encrypt, cores);
  const streamShare = Math.min(1, (frontends * workers * streamOpening) / assumptions.streamSeconds / (cores * CORE));
  const usable = assumptions.busy * (1 - streamShare) * CORE;
  const noNotices = Math.min((frontends * usable) / encrypt.frontend, (workers * usable) / encrypt.workers);
  // r requests a second make r x changes notices a second, and each frontend takes all of them.
  const perFrontend = encrypt.frontend / frontends + assumptions.changes * notice;
  const encrypts = Math.min(usable / perFrontend, (workers * usable) / encrypt.workers, noNotices);
  const alone = dealt(encryptAlone, cores);
  const encryptsAlone = Math.min(
    (alone.frontends * usable) / encryptAlone.frontend,
    (alone.workers * usable) / encryptAlone.workers,
  );
  const making = Math.min((frontends * usable) / createKey.frontend, (workers * usable) / createKey.workers);
  const redisMaking = oneThread(createKey.redis, assumptions.busy);
  // Reading a record is one command and CreateKey several, so this errs on the safe side.
  const redisReading = oneThread(createKey.redis / COMMANDS_OF_A_CREATE_KEY, assumptions.busy);
  return {
    cores,
    frontends,
    workers,
    encrypts,
    encryptsAlone,
    noticeShare: (encrypts * assumptions.changes * notice) / CORE,
    streamShare,
    createKeys: Math.min(making, redisMaking),
    createKeyWall: making <= redisMaking ? 'frontends and workers' : 'one Redis',
    coldEncrypts: Math.min(encrypts, redisReading),
    coldWall: encrypts <= redisReading ? 'frontends and workers' : 'one Redis',
  };
}

/** HSET, ZADD and the wait for durability. */
const COMMANDS_OF_A_CREATE_KEY = 3;

function oneThread(microseconds: number, busy: number): number {
  return (busy * CORE) / Math.max(microseconds, 1);
}

function dealt({ frontend, workers }: Costs, cores: number): { frontends: number; workers: number } {
  const own = Math.min(cores - 1, Math.max(1, Math.round((cores * frontend) / (frontend + workers))));
  return { frontends: own, workers: cores - own };
}

/**
 * What one machine with so many free cores should reach, generator and all: the least of what all cores carry and what
 * the one thread of each frontend does. This can be checked against a run.
 */
export function predictedHere(
  { frontend, workers, redis, nats, rest, generator }: Costs,
  { freeCores, frontends }: { readonly freeCores: number; readonly frontends: number },
): number {
  const all = frontend + workers + redis + nats + rest + generator;
  return Math.min((freeCores * CORE) / all, (frontends * CORE) / frontend);
}

export interface ResealTime {
  readonly hours: number;
  readonly wall: 'frontends and workers' | 'one Redis';
}

/**
 * What resealing `keys` takes with so much of the fleet given to it. Each is read, resealed, opened by another worker
 * and written durably: taken as a CreateKey's work, which has a signature and an answer besides.
 */
export function resealTime({ createKey }: Inputs, keys: number, cores: number, share: number): ResealTime {
  const cpu = (keys * (createKey.frontend + createKey.workers)) / (cores * share * CORE) / 3600;
  const redis = keys / oneThread(createKey.redis, usualAssumptions.busy) / 3600;
  return cpu >= redis ? { hours: cpu, wall: 'frontends and workers' } : { hours: redis, wall: 'one Redis' };
}
