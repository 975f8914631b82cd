import { expect, test } from 'vitest';
import { workedMicroseconds } from './machine.ts';

test('a core that the host gave to another guest was not free', () => {
  //                  user nice system idle iowait irq softirq steal guest
  expect(workedMicroseconds('cpu  1 2 3 1000 1000 4 5 6 1000 1000\ncpu0 1 1 1')).toBe(21 * 10_000);
});
