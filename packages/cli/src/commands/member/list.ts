import type { Member } from '@keyfleet/shared/domain/state';
import { command } from '../../command.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';
import { fingerprintOf, tableOf } from '../../text.ts';

export const list = command({
  description: 'Members of the domain, and workers that ask to join it.',
  args: { ...managerOptions, ...anchorOptions },
  async run(args) {
    using domain = openDomain(args);
    const known = await domain.client.findDomain(domain.anchor);
    const { workers = [] } = await domain.client.status();
    const row = ({ memberId, signingKey, agreementKey }: Member, standing: string) => {
      const worker = workers.find(({ member_id: id }) => id === memberId);
      return {
        memberId,
        fingerprint: fingerprintOf(signingKey, agreementKey),
        standing,
        address: worker?.address ?? '',
      };
    };
    const none = Buffer.alloc(0);
    return {
      members: [
        ...(known?.state.members ?? []).map((member) => row(member, 'member')),
        ...workers
          .filter(({ standing }) => standing === 'asking-to-join')
          .map(({ member_id: memberId = '', signing_key: signingKey = none, agreement_key: agreementKey = none }) =>
            row({ memberId, signingKey, agreementKey }, 'asking-to-join'),
          ),
      ],
    };
  },
  text: ({ members }) =>
    tableOf([
      ['MEMBER', 'FINGERPRINT', 'STANDING', 'WORKER'],
      ...members.map(({ memberId, fingerprint, standing, address }) => [memberId, fingerprint, standing, address]),
    ]),
});
