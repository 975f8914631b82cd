import { expect, test } from 'vitest';
import { SingleFlight } from './single-flight.ts';

function counted() {
  const ends: ((value: number) => void)[] = [];
  const start = (): Promise<number> => new Promise((resolve) => ends.push(resolve));
  return { ends, start };
}

test('callers at the same time share one run, and the next begins another', async () => {
  const flight = new SingleFlight<number>();
  const { ends, start } = counted();
  const both = [flight.run(start), flight.run(start)];
  expect(ends).toHaveLength(1);
  ends[0]!(1);
  expect(await Promise.all(both)).toEqual([1, 1]);
  const next = flight.run(start);
  ends[1]!(2);
  expect(await next).toBe(2);
});

test('a run that fails is over too', async () => {
  const flight = new SingleFlight<number>();
  await expect(flight.run(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await flight.run(async () => 1)).toBe(1);
});

test('one that is forgotten ends for those who wait, and does not end the one after it', async () => {
  const flight = new SingleFlight<number>();
  const { ends, start } = counted();
  const old = flight.run(start);
  flight.forget();
  const current = flight.run(start);
  ends[0]!(1);
  expect(await old).toBe(1);
  const joined = flight.run(start);
  expect(ends).toHaveLength(2);
  ends[1]!(2);
  expect(await Promise.all([current, joined])).toEqual([2, 2]);
});
