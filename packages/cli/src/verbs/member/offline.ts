import { CliError } from '../../cli-error.ts';
import { verb } from '../../verb.ts';
import {
  installChain,
  loadOfflineMember,
  makeOfflineMember,
  offlineMemberOptions,
  openMember,
  publicPartOf,
  splitIdOfFile,
} from '../../offline-members.ts';
import { anchorOptions, managerOptions, newPassphraseOf, openDomain, passphraseOptions } from '../../options.ts';
import { formatMember, loadTrustAnchor } from '../../public-files.ts';
import { combineSecret, newSecret, splitSecret } from '../../secret-shares.ts';
import { writeNewFile } from '../../signing-keys.ts';
import type { Terminal } from '../../terminal.ts';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
import { entityId, isMember } from '@keyfleet/shared/domain/state';
import type { ParsedArgs } from 'citty';
import { readFileSync } from 'node:fs';

const options = {
  id: { type: 'string', description: 'Member id.', valueHint: 'ID', required: true },
  out: { type: 'string', description: 'Output file; the public part is written beside it.', required: true },
  ...anchorOptions,
  ...passphraseOptions,
  shares: {
    type: 'string',
    description: 'Protect it with a random secret split into N shares, instead of a passphrase.',
    valueHint: 'N',
  },
  threshold: { type: 'string', description: 'How many shares recover the secret.', valueHint: 'K' },
} as const;

export const createOffline = verb({
  description: 'Make a member to keep in a safe, to admit a fresh fleet when every worker is lost.',
  args: options,
  async run(args, terminal) {
    const { id, out } = args;
    if (!entityId.safeParse(id).success) throw new CliError(`'${id}' cannot be a member id.`, { exitCode: 2 });
    const anchor = loadTrustAnchor(args['trust-anchor']);
    const passphrase = await secretOf(args, terminal);
    const member = makeOfflineMember(id, anchor, passphrase);
    const file = member.file();
    const splitId = splitIdOfFile(file, out);
    const [n, k] = [Number(args.shares), Number(args.threshold)];
    const shares = isSplit(args) ? await splitSecret(passphrase, { owner: id, splitId, n, k }) : [];
    const publicFile = `${out}.pub.json`;
    const shareFiles = shares.map((share, i) => ({ path: `${out}.share-${i + 1}`, share }));
    writeNewFile(out, file);
    for (const { path, share } of shareFiles) writeNewFile(path, `${share}\n`);
    writeNewFile(publicFile, formatMember(publicPartOf(member)));
    // What will lie in a safe for years is opened once more before it goes there, in the same way as it will be then.
    const again = shares.length === 0 ? passphrase : await combineSecret(shares.slice(-k), splitId);
    const opened = openMember(readFileSync(out), { path: out, anchor, passphrase: again });
    return {
      memberId: id,
      file: out,
      shares: shareFiles.map(({ path }) => path),
      threshold: Number(args.threshold ?? 0),
      publicKey: publicFile,
      fingerprint: memberFingerprint(publicPartOf(opened)),
    };
  },
  text: ({ memberId, file, shares, threshold, publicKey, fingerprint }) =>
    [
      `Offline member ${memberId}: ${file}. It was written, read back and opened.`,
      ...(shares.length === 0
        ? ['Keep the file and its passphrase apart.']
        : [
            `Any ${threshold} of these ${shares.length} shares open it. Give each to another keeper, and keep none beside the file:`,
          ]),
      ...shares.map((share) => `  ${share}`),
      `Public part, to admit: ${publicKey}`,
      `Fingerprint, to compare aloud: ${fingerprint}`,
    ].join('\n'),
});

/** A person's passphrase, or a random secret to be split. */
async function secretOf(args: ParsedArgs<typeof options>, terminal: Terminal): Promise<string> {
  if (!isSplit(args)) return newPassphraseOf(args, terminal, `New passphrase for ${args.out}`);
  if (args['passphrase-file'] !== undefined) {
    throw new CliError('with --shares there is no passphrase: leave out --passphrase-file.', { exitCode: 2 });
  }
  return newSecret();
}

function isSplit({ shares, threshold }: ParsedArgs<typeof options>): boolean {
  return shares !== undefined || threshold !== undefined;
}

export const checkOffline = verb({
  description:
    'Rehearse a recovery: open an offline member, and with it each domain token since its admission. Changes nothing.',
  args: { ...managerOptions, ...anchorOptions, ...offlineMemberOptions },
  async run(args, terminal) {
    using domain = openDomain(args);
    const { tokens, domain: newest } = await domain.client.getChain(domain.anchor);
    const { state } = newest;
    const member = await loadOfflineMember(args, domain.anchor, terminal);
    const publicPart = publicPartOf(member);
    const { memberId } = publicPart;
    const admitted = state.members.find((one) => one.memberId === memberId);
    if (admitted === undefined || !isMember(state, publicPart)) {
      throw new CliError(`${memberId} opens, but is not a member of the domain: admit it with keyfleet member admit.`);
    }
    installChain(member, tokens);
    return {
      memberId,
      fingerprint: memberFingerprint(admitted),
      generation: state.generation,
      domainKeys: member.hsm.installed?.secrets.domainKeys.length ?? 0,
    };
  },
  text: ({ memberId, fingerprint, generation, domainKeys }) =>
    `member ${memberId}  ${fingerprint}\nIt opens token ${generation} of the domain and has all its ${domainKeys} domain keys.`,
});
