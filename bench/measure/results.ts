import type { LoadResult } from '../load/job.ts';
import type { Machine } from '../observe/machine.ts';
import type { WatchResult } from '../observe/process-watch.ts';

/** How a point is loaded. */
export type LoopSettings =
  | { readonly kind: 'closed'; readonly connections: number }
  | {
      readonly kind: 'open';
      readonly connections: number;
      readonly perSecond: number;
      /** What `--rate` said: the rate itself, or its part of the peak. */
      readonly asked: string;
    };

export function loopName(loop: LoopSettings): string {
  if (loop.kind === 'open') return `${loop.perSecond.toFixed(0)}/s offered`;
  return loop.connections === 1 ? '1 connection' : `${loop.connections} connections`;
}

/** Something that was done to the target while it was measured. */
export interface Mark {
  /** Milliseconds since the measured time began. */
  readonly at: number;
  readonly what: string;
}

export interface Round extends LoadResult, WatchResult {
  readonly marks: readonly Mark[];
}

/** One scenario under one load against one target, measured in one round or more. */
export interface Point {
  readonly scenario: string;
  readonly target: string;
  readonly loop: LoopSettings;
  readonly payload: number;
  readonly context: number;
  readonly keys: number;
  readonly during?: string | undefined;
  readonly rounds: readonly Round[];
}

/** Answered per second by a server that does nothing: more than that the generator cannot make. */
export interface GeneratorLimit {
  readonly perSecond: number;
  /** Microseconds of the generator's CPU per request. */
  readonly cpu: number;
  readonly processes: number;
}

/** The highest rate at which the 99th percentile stays under a bound. */
export interface SearchResult {
  readonly scenario: string;
  readonly target: string;
  readonly boundMs: number;
  /** 0: none was found. */
  readonly perSecond: number;
}

/** Where the CPU of a process went, by function. */
export interface Profile {
  readonly scenario: string;
  readonly target: string;
  readonly process: string;
  /** Microseconds of CPU per request, largest first. */
  readonly functions: readonly { readonly name: string; readonly where: string; readonly cpu: number }[];
}

/** The file that a run leaves. */
export interface Results {
  readonly format: 'keyfleet-bench/1';
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** The arguments of the run. */
  readonly command: string;
  readonly sliceMs: number;
  readonly generatorLimit: GeneratorLimit;
  readonly points: readonly Point[];
  readonly searches: readonly SearchResult[];
  readonly profiles: readonly Profile[];
}
