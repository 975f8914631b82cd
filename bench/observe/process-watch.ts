import { machineMicroseconds } from './machine.ts';
import { readFileSync } from 'node:fs';
import type { ProbeReading } from './probe.ts';
import type { Probes } from './probes.ts';
import { cpuMicroseconds } from './process-cpu.ts';

const PAGE = 4096;
/** The interval between readings of memory. */
export const MEMORY_EVERY_MS = 5000;

/** A process's use while it was watched. */
export interface ProcessUse {
  /** Microseconds of CPU, all threads. */
  readonly cpu: number;
  /** Resident bytes at the end. */
  readonly memory: number;
  /** Resident bytes, one reading every MEMORY_EVERY_MS. Older files have none. */
  readonly memoryReadings?: readonly number[] | undefined;
  /** Of the services that the harness started. */
  readonly probe?: ProbeReading | undefined;
}

export interface WatchResult {
  readonly processes: Readonly<Record<string, ProcessUse>>;
  /**
   * Cores that nobody who is named used, on average: others on this machine did, or other guests of its host.
   */
  readonly othersCores: number;
}

/** Watches processes by name from `begin` on; one that was started again meanwhile counts from its start. */
export class ProcessWatch {
  readonly #pids: () => Readonly<Record<string, number>>;
  /** The harness and its generators, which are not others. */
  readonly #own: readonly number[];
  readonly #probes: Probes | undefined;
  #before = new Map<number, number>();
  #machine = 0;
  #at = 0;
  readonly #memory = new Map<string, number[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(pids: () => Readonly<Record<string, number>>, own: readonly number[], probes?: Probes) {
    this.#pids = pids;
    this.#own = own;
    this.#probes = probes;
  }

  async begin(): Promise<void> {
    const pids = Object.values(this.#pids());
    await Promise.all(pids.map(async (pid) => this.#probes?.ask(pid, 'reset')));
    this.#before = new Map([...pids, ...this.#own].map((pid) => [pid, cpuOf(pid)]));
    this.#machine = machineMicroseconds();
    this.#at = performance.now();
    this.#timer = setInterval(() => this.#readMemory(), MEMORY_EVERY_MS).unref();
  }

  async end(): Promise<WatchResult> {
    clearInterval(this.#timer);
    const entries = Object.entries(this.#pids());
    const microseconds = (performance.now() - this.#at) * 1000;
    const used = (pid: number) => Math.max(0, cpuOf(pid) - (this.#before.get(pid) ?? 0));
    const cpu = entries.map(([, pid]) => used(pid));
    const own = this.#own.reduce((sum, pid) => sum + used(pid), 0);
    const all = machineMicroseconds() - this.#machine;
    const named = own + cpu.reduce((sum, one) => sum + one, 0);
    const probes = await Promise.all(entries.map(async ([, pid]) => this.#probes?.ask(pid, 'read')));
    const processes = entries.map(([name, pid], index): [string, ProcessUse] => {
      const probe = probes[index] as ProbeReading | undefined;
      const memory = { memory: memoryOf(pid), memoryReadings: this.#memory.get(name) ?? [] };
      return [name, { cpu: cpu[index]!, ...memory, ...(probe === undefined ? {} : { probe }) }];
    });
    return { processes: Object.fromEntries(processes), othersCores: Math.max(0, (all - named) / microseconds) };
  }

  #readMemory(): void {
    for (const [name, pid] of Object.entries(this.#pids())) {
      this.#memory.set(name, [...(this.#memory.get(name) ?? []), memoryOf(pid)]);
    }
  }
}

/** 0 for a process that is not there. */
function cpuOf(pid: number): number {
  try {
    return cpuMicroseconds(pid);
  } catch {
    return 0;
  }
}

function memoryOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE;
  } catch {
    return 0;
  }
}
