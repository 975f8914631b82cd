import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FleetKeyStore, FleetSecretStore } from './store.ts';

type FleetSecrets = FleetSecretStore & FleetKeyStore & Partial<AsyncDisposable>;

/** What every store of the fleet's secrets must do; `open` returns an empty one. */
export function fleetSecretsContract(open: () => Promise<FleetSecrets>): void {
  describe('secrets of the fleet', () => {
    let secrets: FleetSecrets;
    beforeEach(async () => {
      secrets = await open();
    });
    afterEach(async () => {
      await secrets[Symbol.asyncDispose]?.();
    });

    test('of each domain key the first fleet key stays, until it is dropped', async () => {
      expect(await secrets.findFleetKey('f', 'a')).toBeUndefined();
      await secrets.insertFleetKey('f', 'a', Buffer.from([1, 255]));
      await secrets.insertFleetKey('f', 'a', Buffer.from([2, 255]));
      await secrets.insertFleetKey('f', 'b', Buffer.from([3]));
      await secrets.insertFleetKey('g', 'c', Buffer.from([4]));
      expect(Buffer.from((await secrets.findFleetKey('f', 'a'))!)).toEqual(Buffer.from([1, 255]));
      expect([...(await secrets.listFleetKeys('f', ['c', 'a', 'b']))].toSorted()).toEqual(['a', 'b']);
      await secrets.dropFleetKey('f', 'a');
      expect(await secrets.findFleetKey('f', 'a')).toBeUndefined();
      expect(await secrets.listFleetKeys('f', ['a', 'b'])).toEqual(['b']);
    });

    test('a fleet key that was read is dropped only while no other is in its place', async () => {
      await secrets.insertFleetKey('f', 'a', Buffer.from([1, 255]));
      await secrets.dropFleetKey('f', 'a', Buffer.from([2, 255]));
      expect(await secrets.listFleetKeys('f', ['a'])).toEqual(['a']);
      await secrets.dropFleetKey('f', 'a', Buffer.from([1, 255]));
      expect(await secrets.listFleetKeys('f', ['a'])).toEqual([]);
      await secrets.dropFleetKey('f', 'a', Buffer.from([1, 255]));
    });

    test('the first secret of a name stays', async () => {
      expect(await secrets.findSecret('s')).toBeUndefined();
      const [first, second] = await Promise.all([
        secrets.insertSecret('s', Buffer.from([1, 255])),
        secrets.insertSecret('s', Buffer.from([2, 255])),
      ]);
      expect(Buffer.from(first)).toEqual(Buffer.from(second));
      expect(Buffer.from((await secrets.findSecret('s')) ?? [])).toEqual(Buffer.from(first));
    });
  });
}
