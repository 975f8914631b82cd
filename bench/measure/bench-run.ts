import { BenchError, UnsupportedError } from '../bench-error.ts';
import { type BenchEvent, loadEvent } from '../events/catalog.ts';
import type { Generators } from '../load/generators.ts';
import type { LoadJob, Pool } from '../load/job.ts';
import type { Probes } from '../observe/probes.ts';
import { untilIdle } from '../observe/process-cpu.ts';
import type { Options, Rate } from '../options.ts';
import { measureRound } from './measure-round.ts';
import { profileRound } from './profile-round.ts';
import { type Load, loadsOf, type Work, worksOf } from './plan.ts';
import type { PreparedTarget } from './prepared-target.ts';
import { loopName, type LoopSettings, type Point, type Profile, type Round, type SearchResult } from './results.ts';
import { searchHighestRate } from './search.ts';

/** What a run tells of while it goes on. */
export interface RunObserver {
  work(work: Work): void;
  /** One line that stands until the next. */
  status(line: string): void;
  point(point: Point): void;
  search(result: SearchResult): void;
  note(line: string): void;
}

export interface RunParts {
  readonly options: Options;
  readonly targets: readonly PreparedTarget[];
  readonly generators: Generators;
  readonly probes: Probes;
  readonly sliceMs: number;
  readonly observer: RunObserver;
}

/** A target that takes part in a piece of work. */
interface Contestant {
  readonly prepared: PreparedTarget;
  readonly pools: readonly Pool[];
  /** The highest rate of its closed loops so far. */
  peak: number;
}

/**
 * How long each piece of work waits in all for servers that are busy by themselves: so many times a point's seconds, at
 * most a minute.
 */
const IDLE_POINTS = 5;
const MAX_IDLE_MS = 60_000;

/** Measures everything that the options ask for, each point on all targets in turn. */
export class BenchRun {
  readonly #parts: RunParts;
  #idleBudgetMs = 0;
  readonly points: Point[] = [];
  readonly searches: SearchResult[] = [];
  readonly profiles: Profile[] = [];

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  async run(): Promise<void> {
    for (const work of worksOf(this.#parts.options)) {
      this.#parts.observer.work(work);
      this.#idleBudgetMs = Math.min(MAX_IDLE_MS, IDLE_POINTS * this.#parts.options.seconds * 1000);
      const contestants = await this.#prepare(work);
      for (const load of loadsOf(this.#parts.options)) await this.#measure(work, load, contestants);
      await this.#search(work, contestants);
      await this.#profile(work, contestants);
    }
    if (this.points.length === 0) throw new BenchError('nothing was measured.');
  }

  async #prepare(work: Work): Promise<Contestant[]> {
    const { targets, observer } = this.#parts;
    const found: Contestant[] = [];
    for (const prepared of targets) {
      observer.status(`${work.name}: ${prepared.target.name} is prepared and checked`);
      try {
        found.push({ prepared, pools: await prepared.poolsFor(work), peak: 0 });
      } catch (error) {
        if (!(error instanceof UnsupportedError)) throw error;
        observer.note(`${work.name} is left out for ${prepared.target.name}: ${error.message}`);
      }
    }
    return found;
  }

  async #measure(work: Work, load: Load, contestants: readonly Contestant[]): Promise<void> {
    const { options, observer } = this.#parts;
    for (const during of options.during.length === 0 ? [undefined] : options.during) {
      const rounds = new Map<Contestant, Round[]>(contestants.map((one) => [one, []]));
      const loops = new Map(contestants.map((one) => [one, loopOf(load, one.peak)]));
      for (let round = 0; round < options.rounds; round++) {
        for (const contestant of contestants) {
          const event =
            during !== undefined && contestant.prepared.target.cluster ? await loadEvent(during) : undefined;
          const measured = await this.#round(work, loops.get(contestant)!, contestant, event);
          rounds.get(contestant)!.push(measured);
          if (load.kind === 'closed') contestant.peak = Math.max(contestant.peak, measured.requests / measured.seconds);
        }
      }
      for (const [contestant, measured] of rounds) {
        const { name: scenario, payload, context, keys } = work;
        const target = contestant.prepared.target.name;
        const loop = loops.get(contestant)!;
        const point: Point = { scenario, target, loop, payload, context, keys, during, rounds: measured };
        this.points.push(point);
        observer.point(point);
      }
    }
  }

  async #search(work: Work, contestants: readonly Contestant[]): Promise<void> {
    const { options, observer } = this.#parts;
    if (options.search === undefined) return;
    const connections = Math.max(...options.connections);
    for (const contestant of contestants) {
      const perSecond = await searchHighestRate(contestant.peak, options.search, (rate) =>
        this.#round(work, { kind: 'open', connections, perSecond: rate, asked: String(rate) }, contestant, undefined),
      );
      const found = {
        scenario: work.name,
        target: contestant.prepared.target.name,
        boundMs: options.search,
        perSecond,
      };
      this.searches.push(found);
      observer.search(found);
    }
  }

  /** One more round on the most connections: the profiler costs what is measured, so that it has a round of its own. */
  async #profile(work: Work, contestants: readonly Contestant[]): Promise<void> {
    const { options, probes } = this.#parts;
    if (!options.cpuProf) return;
    const loop: LoopSettings = { kind: 'closed', connections: Math.max(...options.connections) };
    for (const contestant of contestants) {
      const { target } = contestant.prepared;
      const profiles = await profileRound(target, probes, () => this.#round(work, loop, contestant, undefined));
      this.profiles.push(...profiles.map((profile) => ({ ...profile, scenario: work.name })));
    }
  }

  async #round(work: Work, loop: LoopSettings, contestant: Contestant, event: BenchEvent | undefined): Promise<Round> {
    const { options, observer, generators, probes, sliceMs } = this.#parts;
    const { target } = contestant.prepared;
    // Workers fill their pools of RSA keys after a start.
    const waitedFrom = performance.now();
    await untilIdle(Object.values(target.processes()), this.#idleBudgetMs);
    this.#idleBudgetMs = Math.max(0, this.#idleBudgetMs - (performance.now() - waitedFrom));
    const job: LoadJob = {
      endpoint: target.endpoint,
      callers: target.callers?.signings,
      pools: contestant.pools,
      choice: options.choice,
      loop,
      warmupMs: options.warmup * 1000,
      measureMs: options.seconds * 1000,
      sliceMs,
    };
    const begun = performance.now();
    const onProgress = (requests: number) => {
      const seconds = (performance.now() - begun) / 1000;
      observer.status(
        `${work.name} on ${target.name}, ${loopName(loop)}: ${requests} requests in ${seconds.toFixed(1)} s`,
      );
    };
    return measureRound({ target, job, generators, probes, event, onProgress });
  }
}

function loopOf(load: Load, peak: number): LoopSettings {
  if (load.kind === 'closed') return load;
  const { rate, connections } = load;
  return { kind: 'open', connections, perSecond: rateOf(rate, peak), asked: rate.asked };
}

function rateOf(rate: Rate, peak: number): number {
  return 'perSecond' in rate ? rate.perSecond : Math.max(1, Math.round(rate.part * peak));
}
