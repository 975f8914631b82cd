import { type Answer, type Connection, TransportError } from '../wire/endpoint.ts';
import type { Recorder } from './recorder.ts';
import type { Requests } from './requests.ts';

/**
 * What ends a loop: past `until` nothing is begun, past `giveUpAt` nothing is waited for. Times of `performance.now()`.
 */
export interface Limits {
  readonly until: number;
  readonly giveUpAt: number;
}

/** Pause after a failed connection, so as not to spin against a server that is away. */
const PAUSE_MS = 20;

/** Sends one request and records its fate; resolves when the connection can be used again. */
export async function callOnce(
  connection: Connection<unknown>,
  requests: Requests,
  recorder: Recorder,
  startedAt?: number,
): Promise<void> {
  const { operation, request } = requests.next();
  const sentAt = startedAt ?? performance.now();
  let answer: Answer;
  try {
    answer = await connection.send(request);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    if (error.code === 'ABORTED') return recorder.unanswered(operation, sentAt, performance.now());
    recorder.failed(error.code, sentAt);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return;
  }
  if (answer.failure === undefined) recorder.succeeded(operation, sentAt, performance.now());
  else recorder.failed(answer.failure, sentAt);
}
