import type { ChannelCredentials } from '@grpc/grpc-js';
import { readSecretFile } from '@keyfleet/shared/config';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import type { DomainState, Operator } from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { CliError } from './cli-error.ts';
import { DomainManagerClient } from './domain-manager-client.ts';
import { weaknessOf } from './passphrase.ts';
import { loadTrustAnchor } from './public-files.ts';
import { loadSigningKey } from './signing-keys.ts';
import type { Terminal } from './terminal.ts';
import { openPeers, type TlsArgs, tlsOptions } from './tls-options.ts';

/** Options shared by several commands. */

export const managerOptions = {
  'domain-manager': {
    type: 'string',
    description: 'Address of a domain-manager.',
    valueHint: 'HOST:PORT',
    default: '127.0.0.1:8921',
  },
  ...tlsOptions,
} as const;

export const anchorOptions = {
  'trust-anchor': { type: 'string', description: 'The trust anchor of the domain.', valueHint: 'FILE', required: true },
} as const;

export const passphraseOptions = {
  'passphrase-file': { type: 'string', description: 'Read the passphrase from this file.', valueHint: 'FILE' },
} as const;

export const signerOptions = {
  as: { type: 'string', description: 'Your operator id.', valueHint: 'ID', required: true },
  key: { type: 'string', description: 'Your signing key file.', valueHint: 'FILE', required: true },
  ...passphraseOptions,
} as const;

interface ManagerArgs extends TlsArgs {
  readonly 'domain-manager': string;
}

interface DomainArgs extends ManagerArgs {
  readonly 'trust-anchor': string;
}

interface SignerArgs {
  readonly as: string;
  readonly key: string;
  readonly 'passphrase-file'?: string | undefined;
}

export interface OpenDomain {
  readonly client: DomainManagerClient;
  readonly anchor: TrustAnchor;
  /** For the channels to its services. */
  readonly credentials: ChannelCredentials;
}

export function openManager(args: ManagerArgs): DomainManagerClient {
  return new DomainManagerClient(args['domain-manager'], openPeers(args['domain-manager'], args).credentials);
}

/** The domain-manager's address, and the trust anchor from which everything it says is verified. */
export function openDomain(args: DomainArgs): OpenDomain & Disposable {
  const anchor = loadTrustAnchor(args['trust-anchor']);
  const { credentials } = openPeers(args['domain-manager'], args);
  const client = new DomainManagerClient(args['domain-manager'], credentials);
  return { client, anchor, credentials, [Symbol.dispose]: () => client[Symbol.dispose]() };
}

/**
 * Throws CliError for a wrong passphrase, or a key that is not that of `known`, so that mistakes are found before
 * signing.
 */
export async function loadSigner(
  args: SignerArgs,
  terminal: Terminal,
  known: readonly Pick<Operator, 'operatorId' | 'signingKey'>[],
): Promise<Signer> {
  const operator = known.find(({ operatorId }) => operatorId === args.as);
  if (operator === undefined) throw new CliError(`${args.as} is not an operator of this domain.`);
  const { key: privateKey, protection } = await loadSigningKey(args.key, () =>
    passphraseOf(args, terminal, `Passphrase of ${args.key}`),
  );
  if (protection === 'pbes2') {
    terminal.note(
      `${args.key} was sealed by an earlier release, and its passphrase is cheap to guess. ` +
        `Seal it again: keyfleet operator change-passphrase --key ${args.key}`,
    );
  }
  if (!encodedPublicKey(privateKey).equals(operator.signingKey)) {
    throw new CliError(`${args.key} is not the key of ${args.as} in this domain.`);
  }
  return { operatorId: args.as, privateKey };
}

export async function passphraseOf(
  args: { readonly 'passphrase-file'?: string | undefined },
  terminal: Terminal,
  question: string,
): Promise<string> {
  const file = args['passphrase-file'];
  return file === undefined ? terminal.askSecret(question) : readSecretFile(file, '--passphrase-file');
}

/** Asks twice, because nobody sees what is typed. Throws CliError if the passphrase is not acceptable. */
export async function newPassphraseOf(
  args: { readonly 'passphrase-file'?: string | undefined },
  terminal: Terminal,
  question: string,
): Promise<string> {
  const passphrase = await passphraseOf(args, terminal, question);
  if (args['passphrase-file'] === undefined && passphrase !== (await terminal.askSecret('Repeat the passphrase'))) {
    throw new CliError('the two passphrases differ.');
  }
  const weakness = weaknessOf(passphrase);
  if (weakness !== undefined) throw new CliError(`the passphrase ${weakness}.`, { exitCode: 2 });
  return passphrase;
}

/** "a,b" -> ["a", "b"]. */
export function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** Who may sign now: the operators of the domain, or the founders before the ceremony. */
export function signersOf(state: DomainState | undefined, anchor: TrustAnchor): TrustAnchor['operators'] {
  return state?.operators ?? anchor.operators;
}

/** Throws CliError for anything else. */
export function numberOf(option: string, text: string, least = 1): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new CliError(`${option}: ${text} is not a whole number from ${least} on.`, { exitCode: 2 });
}
