import { execa } from 'execa';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certManagerDefinitions, certManagerProgram } from './support/binaries.ts';
import { type ControlPlane, startControlPlane } from './support/control-plane.ts';

// What cert-manager's own controllers make of the overlay prod. The tests build on each other.

const overlay = join(import.meta.dirname, '../../deploy/k8s/overlays/prod');
const DONE = { timeout: 60_000, interval: 500 };
/** RFC 5280, section 4.2.1.12. */
const purposes = { 'server auth': '1.3.6.1.5.5.7.3.1', 'client auth': '1.3.6.1.5.5.7.3.2' };
/** What the overlay leaves to whoever runs it. */
const publicIssuer = {
  apiVersion: 'cert-manager.io/v1',
  kind: 'ClusterIssuer',
  metadata: { name: 'public' },
  spec: { selfSigned: {} },
};

interface Certificate {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly secretName: string;
    readonly isCA?: boolean;
    readonly dnsNames?: readonly string[];
    readonly duration: string;
    readonly usages?: readonly string[];
    readonly privateKey: { readonly size: number };
    readonly issuerRef: { readonly name: string };
  };
}

let server: ControlPlane;
let certificates: readonly Certificate[];
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  const program = await certManagerProgram();
  server = await startControlPlane(resources);
  await applied('--server-side', '--filename', await certManagerDefinitions());
  const controllers = execa(program, [server.kubeconfig], { reject: false });
  resources.defer(async () => {
    controllers.kill('SIGKILL');
    await controllers;
  });
  await server.kubectl(['apply', '--filename', '-'], JSON.stringify(publicIssuer));
  await applied('--kustomize', overlay);
  certificates = (await inKeyfleet<{ readonly items: readonly Certificate[] }>('certificates')).items;
});
afterAll(() => resources.disposeAsync());

test('every Certificate is issued: its names, purposes, life and curve, and the authority beside it', async () => {
  expect(certificates.length).toBeGreaterThan(8);
  await expect.poll(areReady, DONE).toEqual(certificates.map(() => 'True'));
  const authority = await issued('keyfleet-ca');
  for (const { metadata, spec } of certificates) {
    const { certificate, key, ca } = await filesOf(spec.secretName);
    const { subjectAltName = '', keyUsage, publicKey, validFromDate, validToDate } = certificate;
    expect(subjectAltName.split(', ').filter(Boolean), metadata.name).toEqual(
      (spec.dnsNames ?? []).map((name) => `DNS:${name}`),
    );
    if (spec.usages !== undefined) {
      const asked = Object.entries(purposes).filter(([usage]) => spec.usages!.includes(usage));
      expect(keyUsage.toSorted(), metadata.name).toEqual(asked.map(([, purpose]) => purpose).toSorted());
    }
    expect(validToDate.getTime() - validFromDate.getTime(), metadata.name).toBe(
      Number.parseInt(spec.duration) * 3_600_000,
    );
    expect(publicKey.asymmetricKeyDetails?.namedCurve).toBe(
      { 256: 'prime256v1', 384: 'secp384r1' }[spec.privateKey.size],
    );
    expect(key).toMatch(/^-----BEGIN (EC )?PRIVATE KEY-----/);
    expect(certificate.ca, metadata.name).toBe(spec.isCA === true);
    if (spec.issuerRef.name !== 'keyfleet-ca') continue;
    expect(certificate.verify(authority.publicKey), metadata.name).toBe(true);
    expect(ca.serialNumber, metadata.name).toBe(authority.serialNumber);
  }
});

test('the authority is renewed with the same key, and each other with another one', async () => {
  const [authority, leaf] = [await issued('keyfleet-ca'), await issued('redis-tls')];
  const renewedAuthority = await renewed('keyfleet-ca');
  expect(renewedAuthority.publicKey.equals(authority.publicKey)).toBe(true);
  expect(leaf.verify(renewedAuthority.publicKey)).toBe(true);
  expect((await issued('redis-tls')).serialNumber).toBe(leaf.serialNumber);
  const renewedLeaf = await renewed('redis-tls');
  expect(renewedLeaf.publicKey.equals(leaf.publicKey)).toBe(false);
  expect(renewedLeaf.verify(authority.publicKey)).toBe(true);
});

test('without its Secret the authority is made anew with another key, and who has a certificate keeps it', async () => {
  const [authority, leaf] = [await issued('keyfleet-ca'), await issued('redis-tls')];
  await server.kubectl(['--namespace', 'keyfleet', 'delete', 'secret', 'keyfleet-ca']);
  const isThere = () => issued('keyfleet-ca').then(({ serialNumber }) => serialNumber, String);
  await expect.poll(isThere, DONE).toMatch(/^[\dA-F]+$/);
  const another = await issued('keyfleet-ca');
  expect(another.publicKey.equals(authority.publicKey)).toBe(false);
  await expect.poll(areReady, DONE).toEqual(certificates.map(() => 'True'));
  expect((await issued('redis-tls')).serialNumber).toBe(leaf.serialNumber);
  expect((await renewed('redis-tls')).verify(another.publicKey)).toBe(true);
});

async function applied(...args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await server.kubectl(['apply', ...args]);
  expect([exitCode, stderr]).toEqual([0, '']);
}

function inKeyfleet<Answer>(...args: readonly string[]): Promise<Answer> {
  return server.get<Answer>('--namespace', 'keyfleet', ...args);
}

/** The condition Ready of each Certificate. */
async function areReady(): Promise<(string | undefined)[]> {
  interface Condition {
    readonly type: string;
    readonly status: string;
  }
  interface Judged {
    readonly status?: { readonly conditions?: readonly Condition[] };
  }
  const { items } = await inKeyfleet<{ readonly items: readonly Judged[] }>('certificates');
  return items.map(({ status }) => status?.conditions?.find(({ type }) => type === 'Ready')?.status);
}

async function filesOf(secret: string) {
  const { data } = await inKeyfleet<{ readonly data: Readonly<Record<string, string>> }>('secret', secret);
  const text = (name: string): string => Buffer.from(data[name]!, 'base64').toString();
  const certificate = new X509Certificate(text('tls.crt'));
  return { certificate, key: text('tls.key'), ca: new X509Certificate(text('ca.crt')) };
}

async function issued(secret: string): Promise<X509Certificate> {
  return (await filesOf(secret)).certificate;
}

/** As `cmctl renew` has it issued anew (https://cert-manager.io/docs/reference/cmctl/#renew). */
async function renewed(name: string): Promise<X509Certificate> {
  const before = await issued(name);
  const condition = {
    type: 'Issuing',
    status: 'True',
    reason: 'ManuallyTriggered',
    message: 'Renewed',
    lastTransitionTime: new Date(),
  };
  const status = JSON.stringify({ status: { conditions: [condition] } });
  const patch = ['patch', 'certificate', name, '--subresource=status', '--type=merge', `--patch=${status}`];
  expect((await server.kubectl(['--namespace', 'keyfleet', ...patch])).exitCode).toBe(0);
  await expect.poll(async () => (await issued(name)).serialNumber, DONE).not.toBe(before.serialNumber);
  return issued(name);
}
