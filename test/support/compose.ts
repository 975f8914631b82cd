import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface ComposeService {
  readonly image: string;
  readonly user: string;
  readonly hostname: string;
  readonly command: readonly string[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly networks: readonly string[];
  readonly ports?: readonly string[];
  readonly stop_grace_period: string;
  /** SOURCE:TARGET, or SOURCE:TARGET:ro. */
  readonly volumes: readonly string[];
}

/** The services of deploy/compose.yaml, by name. */
export function composeServices(): ReadonlyMap<string, ComposeService> {
  const text = readFileSync(join(import.meta.dirname, '../../deploy/compose.yaml'), 'utf8');
  const { services } = parse(text, { merge: true }) as { readonly services: Record<string, ComposeService> };
  return new Map(Object.entries(services));
}

/** What a service finds at the path, as the source of the volume that holds it; undefined: nothing is mounted there. */
export function mountedAt({ volumes }: ComposeService, path: string): string | undefined {
  const mounts = volumes.map((volume) => /^(.+?):(\/[^:]*)(:ro)?$/.exec(volume.replaceAll(/:\?[^}]*\}/g, '}'))!);
  const [, source, target = ''] = mounts.find(([, , to]) => path === to || path.startsWith(`${to}/`)) ?? [];
  return source === undefined ? undefined : `${source}${path.slice(target.length)}`;
}
