import type { TestCluster } from '@keyfleet/test-support/cluster';
import { Latencies } from '../histogram/latencies.ts';
import { Generators } from '../load/generators.ts';
import type { LoadJob } from '../load/job.ts';
import { getScenario } from '../scenarios/catalog.ts';
import { ofCluster } from '../targets/started-targets.ts';
import type { Target } from '../targets/target.ts';
import { measureRound } from './measure-round.ts';
import { PreparedTarget } from './prepared-target.ts';
import type { Round } from './results.ts';

const LOOP = { kind: 'open', connections: 8, perSecond: 100 } as const;
const ROUND_MS = 5_000;

/** What the callers saw. Latencies in milliseconds. */
export interface Seen {
  readonly requests: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  /** Cores that were used by nobody of the cluster or the benchmark, on average. */
  readonly othersCores: number;
}

/** Encrypts a hundred times a second, in rounds of five seconds, for as long as something else takes. */
export class EvenLoad implements Disposable {
  readonly #target: Target;
  readonly #job: LoadJob;
  readonly #generators = new Generators(1);

  private constructor(target: Target, job: LoadJob) {
    this.#target = target;
    this.#job = job;
  }

  static async on(cluster: TestCluster): Promise<EvenLoad> {
    const target = ofCluster({ name: 'keyfleet', kind: 'keyfleet' }, cluster);
    using prepared = new PreparedTarget(target, () => undefined);
    const parts = [{ scenario: getScenario('encrypt'), weight: 1 }];
    const pools = await prepared.poolsFor({ name: 'encrypt', parts, payload: 32, context: 1, keys: 1 });
    const times = { warmupMs: 0, measureMs: ROUND_MS, sliceMs: ROUND_MS };
    return new EvenLoad(target, { endpoint: target.endpoint, pools, choice: { kind: 'turn' }, loop: LOOP, ...times });
  }

  async during<T>(act: () => Promise<T>): Promise<{ result: T; seen: Seen }> {
    let isOver = false;
    const acting = act();
    const over = (): void => void (isOver = true);
    acting.then(over, over);
    const rounds: Round[] = [];
    do {
      rounds.push(await measureRound({ target: this.#target, job: this.#job, generators: this.#generators }));
    } while (!isOver);
    return { result: await acting, seen: seenIn(rounds) };
  }

  [Symbol.dispose](): void {
    this.#generators[Symbol.dispose]();
  }
}

function seenIn(rounds: readonly Round[]): Seen {
  const latencies = Latencies.merged(rounds.map((round) => Latencies.decode(round.latencies)));
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  return {
    requests: sum(rounds.map(({ requests }) => requests)),
    failed: sum(rounds.flatMap(({ failures }) => Object.values(failures))),
    p50: latencies.quantile(0.5),
    p99: latencies.quantile(0.99),
    longest: latencies.longest,
    othersCores: sum(rounds.map(({ othersCores }) => othersCores)) / rounds.length,
  };
}
