import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { command } from '../../command.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';
import { writeNewFile } from '../../signing-keys.ts';

export const checkpoint = command({
  description:
    'Write the trust anchor with the newest domain token as its checkpoint, for the configuration of every service.',
  args: {
    ...managerOptions,
    ...anchorOptions,
    out: { type: 'string', description: 'Where it goes.', valueHint: 'FILE', required: true },
  },
  async run(args) {
    using domain = openDomain(args);
    const { state, hash } = await domain.client.getDomain(domain.anchor);
    const moved = { generation: state.generation, hash };
    writeNewFile(args.out, formatTrustAnchor({ ...domain.anchor, checkpoint: moved }));
    return { trustAnchor: args.out, generation: state.generation, hash: Buffer.from(hash).toString('hex') };
  },
  text: ({ trustAnchor, generation, hash }) =>
    `Trust anchor with the checkpoint ${generation} (${hash}): ${trustAnchor}\n` +
    'Compare the hash with the other operators (keyfleet domain show), then give the file to every service and restart it.',
});
