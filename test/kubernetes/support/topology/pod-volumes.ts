import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Mount } from './container.ts';
import type { FirstStart } from './first-start.ts';
import type { ContainerSpec, Source, Volume, Workload } from './rendered.ts';

export interface PodVolumesParts {
  /** Of the Pod. */
  readonly name: string;
  readonly workload: Workload;
  readonly objects: FirstStart;
  /** Of everything that outlives a Pod; and a directory of the Pod's own. */
  readonly claims: string;
  readonly directory: string;
}

/** Where the claim of a StatefulSet's Pod is. */
function claimOf(claims: string, claim: string, pod: string): string {
  return join(claims, `${claim}-${pod}`);
}

/** The volumes of a Pod, as kubelet makes them. */
export class PodVolumes {
  readonly #parts: PodVolumesParts;
  #written = 0;

  constructor(parts: PodVolumesParts) {
    this.#parts = parts;
    for (const { name } of parts.workload.template.volumes) this.#provide(this.#path(name));
    for (const claim of parts.workload.claims) this.#provide(claimOf(parts.claims, claim, parts.name));
    this.refresh();
  }

  /**
   * Writes what the Secrets and ConfigMaps hold now. As kubelet does it, files are links into `..data`, itself a link
   * to a directory that another one takes the place of: all files of a volume change at once
   * (https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter).
   */
  refresh(): void {
    this.#written++;
    for (const volume of this.#parts.workload.template.volumes) {
      const files = this.#filesOf(volume);
      if (files.size > 0) this.#replace(this.#path(volume.name), files);
    }
  }

  mountsOf({ volumeMounts }: ContainerSpec): Mount[] {
    const { workload, claims, name: pod } = this.#parts;
    return volumeMounts.map(({ name, mountPath, subPathExpr, readOnly }) => {
      const source = workload.claims.includes(name) ? claimOf(claims, name, pod) : this.#path(name);
      const inside =
        subPathExpr === undefined ? source : realpathSync(join(source, subPathExpr.replace('$(POD_NAME)', pod)));
      return { source: inside, target: mountPath, readOnly: readOnly ?? false };
    });
  }

  #path(volume: string): string {
    return join(this.#parts.directory, 'volumes', volume);
  }

  #replace(path: string, files: ReadonlyMap<string, Buffer>): void {
    const next = `..${this.#written}`;
    this.#provide(join(path, next));
    for (const [name, content] of files) {
      const file = join(path, next, name);
      writeFileSync(file, content);
      chownSync(file, 0, this.#group);
      chmodSync(file, 0o440);
    }
    const before = readdirSync(path).filter((name) => name !== next && name !== '..data');
    symlinkSync(next, join(path, '..data_tmp'));
    renameSync(join(path, '..data_tmp'), join(path, '..data'));
    for (const name of files.keys()) {
      if (!before.includes(name)) symlinkSync(join('..data', name), join(path, name));
    }
    for (const name of before.filter((one) => !files.has(one))) rmSync(join(path, name), { recursive: true });
  }

  #filesOf({ configMap, secret, projected }: Volume): Map<string, Buffer> {
    const { secrets, configMaps } = this.#parts.objects;
    const files = (projected?.sources ?? [{ configMap, secret }]).flatMap((source) => [
      ...this.#pick(source.configMap, configMaps.get(source.configMap?.name ?? '')),
      ...this.#pick(source.secret, secrets.get(source.secret?.name ?? source.secret?.secretName ?? '')),
    ]);
    return new Map(files);
  }

  #pick(source: Source | undefined, data: Readonly<Record<string, Buffer>> | undefined): [string, Buffer][] {
    if (source === undefined) return [];
    const { items, ...named } = source;
    const what = `${this.#parts.name} mounts ${JSON.stringify(named)}`;
    if (data === undefined) throw new Error(`${what}, which is not there`);
    return (items ?? Object.keys(data).map((key) => ({ key, path: key }))).map(({ key, path }) => {
      if (data[key] === undefined) throw new Error(`${what}, which has no ${key}`);
      return [path, data[key]];
    });
  }

  get #group(): number {
    return this.#parts.workload.template.securityContext.fsGroup;
  }

  /** Of the Pod's group, which may write. */
  #provide(path: string): void {
    if (existsSync(path)) return;
    mkdirSync(path, { recursive: true });
    chownSync(path, 0, this.#group);
    chmodSync(path, 0o2775);
  }
}
