import type { Connection } from '../wire/endpoint.ts';
import { callOnce, type Limits } from './caller.ts';
import type { Recorder } from './recorder.ts';
import type { Requests } from './requests.ts';

/** Each connection sends its next request when it has the answer to the last. */
export async function runClosedLoop(
  connections: readonly Connection<unknown>[],
  requests: Requests,
  recorder: Recorder,
  { until, giveUpAt }: Limits,
): Promise<void> {
  const giveUp = setTimeout(() => connections.forEach((one) => one[Symbol.dispose]()), giveUpAt - performance.now());
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < until) await callOnce(connection, requests, recorder);
    }),
  );
  clearTimeout(giveUp);
}
