import { verb } from '../../verb.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';
import { loadMember } from '../../public-files.ts';
import { tableOf } from '../../text.ts';
import { workerKeys } from '../../worker-keys.ts';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
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
        ...(known?.state.members ?? []).map((member) =>
          row(member, member.offline === true ? 'offline member' : 'member'),
        ),
        ...workers
          .filter(({ standing }) => standing === 'asking-to-join')
          .map((worker) => row(workerKeys(worker), 'asking-to-join')),
      ],
    };
  },
  text: ({ members }) =>
    tableOf([
      ['MEMBER', 'FINGERPRINT', 'STANDING', 'WORKER'],
      ...members.map(({ memberId, fingerprint, standing, address }) => [memberId, fingerprint, standing, address]),
    ]),
});

export const fingerprint = verb({
  description:
    'Print the fingerprint of identity.pub.json, to compare with the line "identity" in the log of the worker.',
  args: { identity: { type: 'positional', description: 'identity.pub.json', required: true } },
  async run({ identity }) {
    const member = loadMember(identity);
    return { memberId: member.memberId, fingerprint: memberFingerprint(member) };
  },
  text: ({ memberId, fingerprint: shown }) =>
    `member ${memberId}  ${shown}\n` +
    'Anyone who writes to the worker\'s volume can change this file. Compare with the line "identity" in the log of the worker.',
});
