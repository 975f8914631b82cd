import type { OfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';
import { memberOf, replaceKeys, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { installChain } from './offline-members.ts';

/** A domain with an offline member, whose file was not used since it was admitted by token 2. */
function newSafe() {
  const domain = new TestDomain({ members: 2 });
  const safe = domain.newHsm('safe-1');
  domain.step({ name: 'ModifyMembers', body: { admit: [{ ...memberOf(safe), offline: true }], remove: [] } });
  const open = (checkpoint?: Checkpoint) =>
    ({ hsm: domain.newHsm('safe-1', safe.sealedIdentity(), undefined, checkpoint) }) as OfflineMember;
  return { domain, open };
}

function checkpointOf(token: Uint8Array): Checkpoint {
  const { state, hash } = parseToken(token);
  return { generation: state.generation, hash };
}

test.each([undefined, 2, 3, 4, 5])(
  'an offline member that was never used finds which token replaced the domain keys (checkpoint: %s)',
  (checkpointAt) => {
    const { domain, open } = newSafe();
    expect(replaceKeys(domain, { more: 2 })).toBe(3);
    const chain = domain.tokens;
    const checkpoint = checkpointAt === undefined ? undefined : checkpointOf(chain[checkpointAt - 1]!);
    expect(() => installChain(open(checkpoint), chain)).toThrow(
      'safe-1 refuses domain token 3: the token changes a key that the domain already has',
    );
    // Shown at once, the newest token alone is opened.
    const asked = open(checkpoint).hsm;
    asked.install(chain);
    expect(asked.installed?.state.generation).toBe(5);
  },
);

test('an offline member goes on from where it was, and not back', () => {
  const { domain, open } = newSafe();
  const member = open();
  installChain(member, domain.tokens);
  domain.rotate();
  domain.rotate();
  const again = { hsm: domain.newHsm('safe-1', member.hsm.sealedIdentity()) } as OfflineMember;
  installChain(again, domain.tokens);
  expect(again.hsm.installed?.state.generation).toBe(4);
  for (const older of [domain.tokens.slice(0, 3), domain.tokens.slice(0, 1)]) {
    const kept = { hsm: domain.newHsm('safe-1', again.hsm.sealedIdentity()) } as OfflineMember;
    expect(() => installChain(kept, older)).toThrow(`safe-1 refuses domain token ${older.length}: token`);
    expect(kept.hsm.installed).toBeUndefined();
  }
});
