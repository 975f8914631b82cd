import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { findProgram } from '../../../tools/debian-packages.ts';

const VERSION = 'v1.36.3';
const CERT_MANAGER_VERSION = 'v1.21.2';
const CERT_MANAGER = `github.com/cert-manager/cert-manager@${CERT_MANAGER_VERSION}`;
const PROMETHEUS_OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.92.1';
const names = ['kube-apiserver', 'kube-controller-manager', 'kubectl', 'etcd'] as const;

export type Binaries = Readonly<Record<(typeof names)[number], string>>;

/** What is built is kept here, outside the repository: it takes minutes. */
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keyfleet');

export async function kubernetesBinaries(): Promise<Binaries> {
  const folder = join(cache, 'kubernetes', VERSION);
  const paths = Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Binaries;
  if (!Object.values(paths).every((path) => existsSync(path))) {
    assertGo();
    process.stdout.write(`Building Kubernetes ${VERSION} (once; minutes) ...\n`);
    await execa('bash', [join(import.meta.dirname, 'build-kubernetes.sh'), folder, VERSION]);
  }
  return paths;
}

/** The controllers of cert-manager, which take the path of a kubeconfig. */
export async function certManagerProgram(): Promise<string> {
  const program = join(cache, 'cert-manager', CERT_MANAGER_VERSION);
  if (!existsSync(program)) {
    assertGo();
    process.stdout.write(`Building cert-manager ${CERT_MANAGER_VERSION} (once; minutes) ...\n`);
    await execa('bash', [join(import.meta.dirname, 'build-cert-manager.sh'), program, CERT_MANAGER_VERSION]);
  }
  return program;
}

/** The folder of cert-manager's definitions of its resources. */
export async function certManagerDefinitions(): Promise<string> {
  return join(await sourceOf(CERT_MANAGER), 'deploy/crds');
}

/** The folder of the definitions of the resources of Prometheus' operator. */
export async function prometheusDefinitions(): Promise<string> {
  return join(await sourceOf(PROMETHEUS_OPERATOR), 'example/prometheus-operator-crd');
}

async function sourceOf(module: string): Promise<string> {
  assertGo();
  const { stdout } = await execa('go', ['mod', 'download', '-json', module]);
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

export function assertGo(): void {
  if (findProgram('go') !== undefined) return;
  throw new Error(
    `Kubernetes ${VERSION} and cert-manager are built with Go, which was not found. Install Go 1.26 or newer, then run this again.`,
  );
}
