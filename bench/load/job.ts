import type { Endpoint, Signing, WireRequest } from '../wire/endpoint.ts';

/** N connections, each of which sends its next request when it has the answer to the last. */
export interface ClosedLoop {
  readonly kind: 'closed';
  readonly connections: number;
}

/** Requests that arrive at a fixed rate whatever the server does, over at most N connections. */
export interface OpenLoop {
  readonly kind: 'open';
  readonly connections: number;
  readonly perSecond: number;
}

/** How the next request of a pool is chosen. */
export type Choice = { readonly kind: 'turn' | 'uniform' } | { readonly kind: 'zipf'; readonly exponent: number };

/** Requests of one operation, and how often they come beside those of other pools. */
export interface Pool {
  readonly operation: string;
  readonly weight: number;
  readonly requests: readonly WireRequest[];
}

export interface LoadJob {
  readonly endpoint: Endpoint;
  /** Whose requests they are, in turn; those of the endpoint's own signer if nobody is named. */
  readonly callers?: readonly Signing[] | undefined;
  readonly pools: readonly Pool[];
  readonly choice: Choice;
  readonly loop: ClosedLoop | OpenLoop;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Latencies are kept in slices of this length too. */
  readonly sliceMs: number;
}

/** One process's part of a job. */
export interface LoadShare extends LoadJob {
  /** The first of the arrivals that are this process's, and after how many the next one is. */
  readonly arrivals: { readonly first: number; readonly step: number };
  /** Milliseconds of the Unix epoch: when the warm-up begins. */
  readonly beginAt: number;
}

export interface Slice {
  /** Latencies, encoded. */
  readonly latencies: string;
  readonly failed: number;
}

/** Measurements of one process, or of all. Latencies of answers that did not fail, encoded. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly latencies: string;
  /** By operation, if there are several. */
  readonly byOperation: Readonly<Record<string, string>>;
  readonly slices: readonly Slice[];
  /** Failure -> how many. */
  readonly failures: Readonly<Record<string, number>>;
  /** Open loop: how late the generator itself began requests, encoded. */
  readonly lateness: string;
  /** Open loop: from the intended arrival until a connection was free, encoded. Older files have none. */
  readonly waits?: string;
  readonly generators: readonly GeneratorUse[];
}

/** The part of its one thread that a generator process used, 0 to 1. */
export interface GeneratorUse {
  /** CPU time, all threads. */
  readonly cpu: number;
  /** Of its event loop. */
  readonly loop: number;
}

export type GeneratorMessage =
  | { readonly kind: 'progress'; readonly requests: number }
  | { readonly kind: 'result'; readonly result: LoadResult }
  | { readonly kind: 'problem'; readonly message: string };
