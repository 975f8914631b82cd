import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface ComposeService {
  readonly image: string;
  readonly user: string;
  readonly hostname: string;
  /** In place of the image's. */
  readonly entrypoint?: readonly string[];
  readonly command: readonly string[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly networks: readonly string[];
  readonly ports?: readonly string[];
  readonly stop_grace_period: string;
  readonly env_file?: readonly string[];
  /** Directories in memory: PATH:OPTIONS. */
  readonly tmpfs?: readonly string[];
  /** CMD and the command. */
  readonly healthcheck?: { readonly test: readonly string[] };
  /** SOURCE:TARGET, or SOURCE:TARGET:ro. */
  readonly volumes: readonly string[];
}

/** The services of deploy/compose.yaml, by name. */
export function composeServices(): ReadonlyMap<string, ComposeService> {
  const text = readFileSync(join(import.meta.dirname, '../../deploy/compose.yaml'), 'utf8');
  const { services } = parse(text, { merge: true }) as { readonly services: Record<string, ComposeService> };
  return new Map(Object.entries(services));
}

export interface ComposeMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** Sources as written, including `${KEYFLEET_DIR}`. */
export function mountsOf({ volumes }: ComposeService): ComposeMount[] {
  return volumes.map((volume) => {
    const [, source = '', target = '', mode] = /^(.+?):(\/[^:]*)(:ro)?$/.exec(volume.replaceAll(/:\?[^}]*\}/g, '}'))!;
    return { source, target, readOnly: mode !== undefined };
  });
}

/** The source of the volume that a service finds at the path; undefined if none is mounted there. */
export function mountedAt(service: ComposeService, path: string): string | undefined {
  const found = mountsOf(service).find(({ target }) => path === target || path.startsWith(`${target}/`));
  return found === undefined ? undefined : `${found.source}${path.slice(found.target.length)}`;
}
