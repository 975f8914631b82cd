import { verb } from '../../verb.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';
import { loadMember } from '../../public-files.ts';
import { memberFingerprint, tableOf } from '../../text.ts';
import type { Worker__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/Worker';
import type { Member } from '@keyfleet/shared/domain/state';

export const list = verb({
  description: 'List members of the domain, and workers that ask to join.',
  args: { ...managerOptions, ...anchorOptions },
  async run(args) {
    using domain = openDomain(args);
    const known = await domain.client.findDomain(domain.anchor);
    const { workers = [] } = await domain.client.status();
    const row = (member: Member, standing: string) => {
      const { memberId } = member;
      const worker = workers.find(({ member_id: id }) => id === memberId);
      return {
        memberId,
        fingerprint: memberFingerprint(member),
        standing,
        address: worker?.address ?? '',
      };
    };
    return {
      members: [
        ...(known?.state.members ?? []).map((member) => row(member, 'member')),
        ...workers
          .filter(({ standing }) => standing === 'asking-to-join')
          .map((worker) => row(memberOf(worker), 'asking-to-join')),
      ],
    };
  },
  text: ({ members }) =>
    tableOf([
      ['MEMBER', 'FINGERPRINT', 'STANDING', 'WORKER'],
      ...members.map(({ memberId, fingerprint, standing, address }) => [memberId, fingerprint, standing, address]),
    ]),
});

function memberOf(worker: Worker__Output): Member {
  const { member_id: memberId = '', signing_key: signingKey = none, agreement_key: agreementKey = none } = worker;
  const { encapsulation_key: encapsulationKey = none } = worker;
  return { memberId, signingKey, agreementKey, ...(encapsulationKey.length > 0 && { encapsulationKey }) };
}

const none = Buffer.alloc(0);

export const fingerprint = verb({
  description: 'Print the fingerprint of a worker, from its identity.pub.json.',
  args: { identity: { type: 'positional', description: 'identity.pub.json', required: true } },
  async run({ identity }) {
    const member = loadMember(identity);
    return { memberId: member.memberId, fingerprint: memberFingerprint(member) };
  },
  text: ({ memberId, fingerprint: shown }) => `member ${memberId}  ${shown}`,
});
