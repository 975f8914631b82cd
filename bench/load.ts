// The load generator, a process of its own: reads a LoadJob from its parent, answers with a LoadResult.
import { Connection } from './connection.ts';
import { SignedRequests, type Target } from './signed-request.ts';

export interface LoadJob {
  readonly target: Target;
  readonly operation: string;
  /** Sent in turn. */
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
}

process.once('message', (job: LoadJob) => void run(job));

async function run(job: LoadJob): Promise<void> {
  const requests = new SignedRequests(job.target, job.operation, job.bodies);
  const measureFrom = performance.now() + job.warmupMs;
  const until = measureFrom + job.measureMs;
  const latencies: number[] = [];
  setTimeout(() => process.send?.('measuring'), job.warmupMs);
  const client = async () => {
    using connection = new Connection(job.target.host, job.target.port);
    for (let sentAt = performance.now(); sentAt < until;) {
      const { status, body } = await connection.send(requests.next());
      const answeredAt = performance.now();
      if (status !== 200) throw new Error(`${job.operation} answered ${status}: ${body.toString()}`);
      if (sentAt >= measureFrom) latencies.push(answeredAt - sentAt);
      sentAt = answeredAt;
    }
  };
  await Promise.all(Array.from({ length: job.connections }, client));
  process.send?.(summarize(latencies, (performance.now() - measureFrom) / 1000));
  process.disconnect?.();
}

function summarize(latencies: number[], seconds: number): LoadResult {
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { requests: sorted.length, seconds, p50: quantile(0.5), p99: quantile(0.99), slowest: quantile(1) };
}
