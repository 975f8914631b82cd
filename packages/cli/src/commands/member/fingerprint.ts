import { command } from '../../command.ts';
import { loadMember } from '../../public-files.ts';
import { memberFingerprint } from '../../text.ts';

export const fingerprint = command({
  description: 'The fingerprint of a worker, read from its own identity.pub.json.',
  args: { identity: { type: 'positional', description: 'identity.pub.json', required: true } },
  async run({ identity }) {
    const member = loadMember(identity);
    return { memberId: member.memberId, fingerprint: memberFingerprint(member) };
  },
  text: ({ memberId, fingerprint: shown }) => `member ${memberId}  ${shown}`,
});
