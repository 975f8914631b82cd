import { expect, test } from 'vitest';
import { Beats } from './beats.ts';

test('a beat that returns proves the time at which it was sent', () => {
  const beats = new Beats();
  const before = performance.now();
  const beat = beats.send();
  expect(beats.lastAt).toBe(-Infinity);
  const after = performance.now();
  expect(beats.returned(beat)).toBe(true);
  expect(beats.lastAt).toBeGreaterThanOrEqual(before);
  expect(beats.lastAt).toBeLessThanOrEqual(after);
});

test('a beat that was not sent here, has returned, or was overtaken by a later one proves nothing', () => {
  const beats = new Beats();
  const [first, second] = [beats.send(), beats.send()];
  for (const forged of ['Infinity', String(performance.now() + 1e9), '', new Beats().send()])
    expect(beats.returned(forged)).toBe(false);
  expect(beats.lastAt).toBe(-Infinity);
  expect(beats.returned(second)).toBe(true);
  const { lastAt } = beats;
  for (const old of [first, second]) expect(beats.returned(old)).toBe(false);
  expect(beats.lastAt).toBe(lastAt);
});

test('a beat from before the subscription ended proves nothing', () => {
  const beats = new Beats();
  const beat = beats.send();
  beats.lost();
  expect(beats.returned(beat)).toBe(false);
  expect(beats.lastAt).toBe(-Infinity);
});
