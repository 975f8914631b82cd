import { CliError } from '../../cli-error.ts';
import { verb } from '../../verb.ts';
import { anchorOptions, listOf, managerOptions, openDomain } from '../../options.ts';
import { loadOperator } from '../../public-files.ts';
import { writeNewFile } from '../../signing-keys.ts';
import { fingerprintOf } from '@keyfleet/shared/domain/fingerprint';
import { formatTrustAnchor, parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

export const anchor = verb({
  description: 'Write the trust anchor, which says who may found the domain. Every service is configured with it.',
  args: {
    domain: { type: 'string', description: 'Name of the domain.', valueHint: 'NAME', required: true },
    minimum: { type: 'string', description: 'How many founders must sign.', valueHint: 'N', required: true },
    founders: {
      type: 'string',
      description: 'Public key files of the founders, comma-separated.',
      valueHint: 'FILES',
      required: true,
    },
    out: { type: 'string', description: 'Output file.', valueHint: 'FILE', required: true },
  },
  async run({ domain, minimum, founders, out }) {
    const operators = listOf(founders).map(loadOperator);
    const machine = operators.find(({ role }) => role !== 'operator');
    if (machine !== undefined)
      throw new CliError(`${machine.operatorId} is a ${machine.role}: only people found a domain.`);
    const text = formatTrustAnchor({ domain, minimum: Number(minimum), operators });
    parseTrustAnchor(text);
    writeNewFile(out, text);
    return {
      domain,
      minimum: Number(minimum),
      founders: operators.map(({ operatorId, signingKey }) => ({ operatorId, fingerprint: fingerprintOf(signingKey) })),
      trustAnchor: out,
    };
  },
  text: ({ domain, minimum, founders, trustAnchor }) =>
    [
      `Trust anchor of the domain ${domain}: ${trustAnchor}`,
      `${minimum} of these must sign its foundation:`,
      ...founders.map(({ operatorId, fingerprint }) => `  ${operatorId}  ${fingerprint}`),
    ].join('\n'),
});

export const checkpoint = verb({
  description:
    'Write the trust anchor with the newest domain token as its checkpoint, for the configuration of every service.',
  args: {
    ...managerOptions,
    ...anchorOptions,
    out: { type: 'string', description: 'Output file.', valueHint: 'FILE', required: true },
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
    'Compare the hash with what another domain-manager shows (keyfleet domain show), then give the file to every service and restart it.',
});
