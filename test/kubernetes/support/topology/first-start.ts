import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { formatOperator } from '@keyfleet/cli/public-files';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { execa } from 'execa';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandsWith } from '../documented-commands.ts';
import { kubernetesBinaries } from '../binaries.ts';
import { CertManager } from './cert-manager.ts';
import type { Rendered } from './rendered.ts';

const root = join(import.meta.dirname, '../../../..');
export const FOUNDERS = ['anna', 'berta'] as const;
export type Objects = Map<string, Readonly<Record<string, Buffer>>>;

/** What the operators have on their laptop, and what the services are given. */
export interface FirstStart {
  readonly laptop: string;
  readonly founders: readonly Signer[];
  readonly configMaps: Objects;
  readonly secrets: Objects;
  readonly certManager: CertManager;
}

/**
 * Carries out "First start" of docs/kubernetes.md up to the point where the manifests are applied. `keyfleet` is the
 * command line; `kubectl create` only prints what it would make, which is taken from there.
 */
export async function firstStart(laptop: string, rendered: Rendered): Promise<FirstStart> {
  const founders = FOUNDERS.map((operatorId) => newFounder(laptop, operatorId));
  await runBlocks(laptop);
  parseTrustAnchor(readFileSync(join(laptop, 'trust-anchor.json'), 'utf8'));
  const configMaps = rendered.configMaps();
  const secrets: Objects = new Map();
  for (const file of readdirSync(laptop).filter((name) => name.startsWith('object-'))) {
    const { kind, metadata, data } = JSON.parse(readFileSync(join(laptop, file), 'utf8')) as {
      readonly kind: string;
      readonly metadata: { readonly name: string };
      readonly data: Readonly<Record<string, string>>;
    };
    const encoding = kind === 'Secret' ? 'base64' : 'utf8';
    const content = Object.entries(data).map(([key, text]) => [key, Buffer.from(text, encoding)] as const);
    (kind === 'Secret' ? secrets : configMaps).set(metadata.name, Object.fromEntries(content));
  }
  const certManager = await CertManager.of(rendered, secrets);
  await certManager.issue(certManager.secretNames);
  return { laptop, founders, configMaps, secrets, certManager };
}

/** Docs/ceremony.md, 1, but for the passphrase. */
export function newFounder(laptop: string, operatorId: string): Signer {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const operator = { operatorId, role: 'operator' as const, signingKey: encodedPublicKey(privateKey) };
  writeFileSync(join(laptop, `${operatorId}.pub.json`), formatOperator(operator));
  writeFileSync(join(laptop, `${operatorId}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  return { operatorId, privateKey };
}

async function runBlocks(laptop: string): Promise<void> {
  const { kubectl } = await kubernetesBinaries();
  writeKeyfleet(laptop);
  writeProgram(
    laptop,
    'kubectl',
    `[ "$1" = create ] || exit 0
${kubectl} "$@" --dry-run=client --output json >object-$2-$3-$4.json`,
  );
  const script = ['keyfleet domain anchor', 'kubectl create secret'].map(commandsWith).join('\n');
  const env = { PATH: `${laptop}:${process.env['PATH']}` };
  await execa('bash', ['-euo', 'pipefail', '-c', script], { cwd: laptop, env });
}

/** The command line, as a program in that directory. */
export function writeKeyfleet(directory: string): void {
  const main = join(root, 'packages/cli/src/main.ts');
  writeProgram(directory, 'keyfleet', `exec "${process.execPath}" "${main}" "$@"`);
}

export function writeProgram(directory: string, name: string, script: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, name), 0o755);
}
