import { expect, test } from 'vitest';
import { rotationText } from './show.ts';

test('a rotation that is long due says what it may wait for', () => {
  const [now, hour] = [Date.now(), 3_600_000];
  expect(rotationText(3, 24 * hour, now + hour)).toMatch(/^Next rotation: /);
  expect(rotationText(3, 24 * hour, now - 1000)).toMatch(/^Next rotation: /);
  expect(rotationText(3, 24 * hour, now - hour)).toMatch(/^A rotation is due since .* one to confirm it\./);
});
