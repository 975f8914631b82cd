import { expect, test } from 'vitest';
import { patiently, wasNotMade, wasNotRead } from './patience.ts';

const lost = 'Command aborted due to connection close';
const unsent = "Stream isn't writeable and enableOfflineQueue options is false";
const noReplicas = 'NOREPLICAS Not enough good replicas to write. script: 1, on @user_script:1.';

/** Fails with these messages, one after the other, then is done. */
function failing(...messages: string[]) {
  return async (): Promise<string> => {
    const message = messages.shift();
    if (message !== undefined) throw new Error(message);
    return 'done';
  };
}

test('a request that was not done is asked for again until it is', async () => {
  const refusals = [unsent, 'READONLY You can not write against a read only replica.', noReplicas];
  expect(await patiently(failing(...refusals), wasNotMade)).toBe('done');
  expect(await patiently(failing(lost, unsent), wasNotRead)).toBe('done');
});

test.each([lost, 'Command timed out', 'FENCED record key 1 is being dropped', 'OOM command not allowed'])(
  'a write that failed with "%s" is not made again',
  async (message) => {
    await expect(patiently(failing(message), wasNotMade)).rejects.toThrow(message);
  },
);

test('nobody waits for ever, and the last reason is told', async () => {
  const startedAt = performance.now();
  const never = () => Promise.reject(new Error(noReplicas));
  await expect(patiently(never, wasNotMade)).rejects.toThrow(noReplicas);
  expect(performance.now() - startedAt).toBeGreaterThan(2_900);
});
