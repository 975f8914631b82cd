import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadlines } from './deadlines.ts';

const TIMEOUT_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function newDeadlines() {
  return new Deadlines(TIMEOUT_MS, () => new Error('late'));
}

const never = () => new Promise<never>(() => {});

/** A promise's state: `open`, its value, or its error's message. */
function watch(promise: Promise<unknown>): { state: unknown } {
  const watched: { state: unknown } = { state: 'open' };
  promise.then(
    (value) => (watched.state = value),
    (error: Error) => (watched.state = error.message),
  );
  return watched;
}

test('work that is done in time passes on unchanged', async () => {
  const deadlines = newDeadlines();
  expect(await deadlines.within(Promise.resolve(7))).toBe(7);
  await expect(deadlines.within(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
});

test('late work is given up, and nothing that came after it', async () => {
  const deadlines = newDeadlines();
  const first = watch(deadlines.within(never()));
  await vi.advanceTimersByTimeAsync(500);
  const done = watch(deadlines.within(Promise.resolve('done')));
  const second = watch(deadlines.within(never()));
  await vi.advanceTimersByTimeAsync(550);
  expect([first, done, second].map(({ state }) => state)).toEqual(['late', 'done', 'open']);
  await vi.advanceTimersByTimeAsync(500);
  expect(second.state).toBe('late');
});

test('nothing runs while nothing waits', async () => {
  const deadlines = newDeadlines();
  await deadlines.within(Promise.resolve());
  await vi.advanceTimersByTimeAsync(100);
  expect(vi.getTimerCount()).toBe(0);
});
