import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { formatOperator } from '@keyfleet/cli/public-files';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { execa } from 'execa';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CertificateAuthority } from '../../../../tools/certificates.ts';
import { kubernetesBinaries } from '../binaries.ts';
import type { Rendered } from './rendered.ts';

const root = join(import.meta.dirname, '../../../..');
const FOUNDERS = ['anna', 'berta'] as const;
type Objects = Map<string, Readonly<Record<string, Buffer>>>;

/** What the operators have on their laptop, and what the services are given. */
export interface FirstStart {
  readonly laptop: string;
  readonly founders: readonly Signer[];
  readonly configMaps: Objects;
  readonly secrets: Objects;
}

/**
 * Carries out "First start" of docs/kubernetes.md up to the point where the manifests are applied. `keyfleet` is the
 * command line; `kubectl create` only prints what it would make, which is taken from there.
 */
export async function firstStart(laptop: string, rendered: Rendered): Promise<FirstStart> {
  const founders = FOUNDERS.map((operatorId) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const operator = { operatorId, role: 'operator' as const, signingKey: encodedPublicKey(privateKey) };
    writeFileSync(join(laptop, `${operatorId}.pub.json`), formatOperator(operator));
    return { operatorId, privateKey };
  });
  await runBlocks(laptop);
  parseTrustAnchor(readFileSync(join(laptop, 'trust-anchor.json'), 'utf8'));
  const configMaps: Objects = new Map(
    [...rendered.configMaps()].map(([name, data]) => [
      name,
      Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text)])),
    ]),
  );
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
  await issueCertificates(rendered, secrets);
  return { laptop, founders, configMaps, secrets };
}

async function runBlocks(laptop: string): Promise<void> {
  const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');
  const section = /^## First start\n(.*?)^## /ms.exec(page)![1]!;
  const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  const last = blocks.findIndex((block) => block.includes('kubectl apply -k'));
  const { kubectl } = await kubernetesBinaries();
  const main = join(root, 'packages/cli/src/main.ts');
  program(laptop, 'keyfleet', `exec "${process.execPath}" "${main}" "$@"`);
  program(
    laptop,
    'kubectl',
    `[ "$1" = create ] || exit 0
${kubectl} "$@" --dry-run=client --output json >object-$2-$3-$4.json`,
  );
  const script = blocks.slice(0, last + 1).join('\n');
  const env = { PATH: `${laptop}:${process.env['PATH']}` };
  await execa('bash', ['-euo', 'pipefail', '-c', script], { cwd: laptop, env });
}

function program(laptop: string, name: string, script: string): void {
  writeFileSync(join(laptop, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(laptop, name), 0o755);
}

/** What cert-manager would make of the Certificates: all under one authority, also what customers see. */
async function issueCertificates(rendered: Rendered, secrets: Objects): Promise<void> {
  const authority = await CertificateAuthority.create('keyfleet-ca');
  for (const { secretName, commonName, dnsNames = [], isCA } of rendered.certificates) {
    if (isCA === true) continue;
    const { certificate, key } = await authority.issue(commonName, dnsNames);
    const files = { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate };
    secrets.set(secretName, Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])));
  }
}
