import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

const folder = join(import.meta.dirname, '../../deploy/k8s');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: unknown;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly startupProbe?: unknown;
  readonly livenessProbe?: unknown;
  readonly resources: { readonly requests: object; readonly limits: object };
}

export interface PodSpec {
  readonly priorityClassName?: string;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: unknown;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName?: string } }[];
}

/** The objects in every file of a folder of deploy/k8s. Throws on bad YAML. */
export function manifestsIn(name: 'base' | 'load-test' | 'monitoring'): Manifest[] {
  const found = join(folder, name);
  const files = readdirSync(found).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(found, file), 'utf8')).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join(', ')}`);
      return document.toJS() as Manifest;
    }),
  );
}

interface Patch {
  readonly target: { readonly kind: string; readonly name?: string };
  readonly patch: string;
}

/** The `spec` of an object of the base, with what the overlay prod replaces in it. */
export function specInProd({ kind, metadata, spec }: Manifest): Readonly<Record<string, unknown>> {
  const overlay = readFileSync(join(folder, 'overlays/prod/kustomization.yaml'), 'utf8');
  const { patches } = parse(overlay) as { readonly patches: readonly Patch[] };
  const mine = patches.filter(({ target }) => target.kind === kind && target.name === metadata.name);
  const replaced = mine
    .flatMap(({ patch }) => parse(patch) as { readonly op: string; readonly path: string; readonly value: unknown }[])
    .map(({ path, value }) => [path.replace(/^\/spec\//, ''), value] as const);
  return { ...spec, ...Object.fromEntries(replaced) };
}

/** What Kustomize prints. */
export function parseManifests(text: string): unknown[] {
  return parseAllDocuments(text).map((document): unknown => document.toJS());
}

/** The workloads, which make Pods, by name. */
export function podSpecs(manifests: readonly Manifest[]): ReadonlyMap<string, PodSpec> {
  const template = ({ spec }: Manifest) => (spec?.['template'] as { readonly spec: PodSpec } | undefined)?.spec;
  return new Map(
    manifests.flatMap((one) => {
      const spec = template(one);
      return spec === undefined ? [] : [[one.metadata.name, spec] as const];
    }),
  );
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports: readonly { readonly port: number }[];
}
interface Peer {
  readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> };
}

const NAME = 'app.kubernetes.io/name';

/** The connections that the policies allow, as "FROM -> TO" with ports. */
export function arrowsOf(manifests: readonly Manifest[], direction: 'ingress' | 'egress'): Record<string, number[]> {
  const arrows: Record<string, number[]> = {};
  for (const { kind, metadata, spec } of manifests) {
    if (kind !== 'NetworkPolicy' || metadata.name === 'dns') continue;
    for (const rule of (spec?.[direction] ?? []) as readonly Rule[]) {
      const peers = direction === 'ingress' ? rule.from : rule.to;
      const names = peers?.map(({ podSelector }) => podSelector.matchLabels[NAME]!) ?? ['anyone'];
      for (const name of names) {
        const arrow = direction === 'ingress' ? `${name} -> ${metadata.name}` : `${metadata.name} -> ${name}`;
        arrows[arrow] = rule.ports.map(({ port }) => port);
      }
    }
  }
  return arrows;
}

/** deploy/k8s/arrows.yaml. */
export function plannedArrows(): Record<string, number[]> {
  return parse(readFileSync(join(folder, 'arrows.yaml'), 'utf8')) as Record<string, number[]>;
}
