import { memberOf, TestDomain } from '@keyfleet/test-support/domain';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
import type { NewMember } from '@keyfleet/shared/domain/state';
import { expect, test } from 'vitest';
import { assertKeysOfWorkers } from './worker-keys.ts';

const domain = new TestDomain({ members: 1 });
const newMember = (name: string): NewMember => memberOf(domain.newHsm(name));
const genuine = newMember('hsm-3');
const forged = newMember('hsm-3');

/** The keys as a domain-manager shows them, who asked the workers. */
const clientOf = (...members: readonly NewMember[]) => ({
  status: async () =>
    ({
      workers: [
        { address: 'gone:8911', standing: 'unreachable' },
        ...members.map(({ memberId, signingKey, agreementKey, encapsulationKey }, i) => ({
          address: `worker-${i}:8911`,
          member_id: memberId,
          signing_key: Buffer.from(signingKey),
          agreement_key: Buffer.from(agreementKey),
          encapsulation_key: Buffer.from(encapsulationKey),
        })),
      ],
    }) as never,
});

test('whose file was changed on the volume is not admitted: the worker says other keys', async () => {
  const client = clientOf(newMember('hsm-2'), genuine);
  await assertKeysOfWorkers(client, [genuine]);
  const refused = assertKeysOfWorkers(client, [forged]);
  await expect(refused).rejects.toThrow(`fingerprint ${memberFingerprint(forged)}, but the worker of this name`);
  await expect(refused).rejects.toThrow(`at worker-1:8911 says ${memberFingerprint(genuine)}`);
});

test.each(['signingKey', 'agreementKey', 'encapsulationKey'] as const)('one other key is enough: %s', async (name) => {
  const mixed = { ...genuine, [name]: forged[name] };
  await expect(assertKeysOfWorkers(clientOf(genuine), [mixed])).rejects.toThrow('hsm-3');
});

test('a worker is not admitted as an offline member, which would be asked to witness nothing', async () => {
  const asOffline = { ...genuine, offline: true };
  const refused = assertKeysOfWorkers(clientOf(genuine), [asOffline]);
  await expect(refused).rejects.toThrow(`fingerprint ${memberFingerprint(asOffline)}, but the worker of this name`);
});

test('a worker that lies about its name does not stop the admission of one that runs', async () => {
  await assertKeysOfWorkers(clientOf(forged, genuine), [genuine]);
});

test('who does not run, as an offline member, is admitted', async () => {
  await assertKeysOfWorkers(clientOf(newMember('hsm-2')), [genuine]);
});
