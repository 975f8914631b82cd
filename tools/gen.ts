// Writes what derives from code: kms.proto with its field numbers, docs/api.md and docs/errors.md from the operation
// registry, docs/configuration.md from the services' schemas, Grafana's dashboard, the alert rules as a resource of
// Kubernetes, and the types of the other protocols. With `--check` it writes nothing and fails when a file is not what
// it would write.
import { operations } from '@keyfleet/shared/api/registry';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Operation } from '@keyfleet/shared/api/operation';
import { apiDoc } from './gen/api-doc.ts';
import { configurationDoc } from './gen/configuration-doc.ts';
import { alertsResource, dashboard } from './gen/monitoring.ts';
import { errorsDoc } from './gen/errors-doc.ts';
import { type FieldNumbers, kmsProto } from './gen/kms-proto.ts';
import { protoTypes } from './gen/proto-types.ts';

const root = join(import.meta.dirname, '..');
const LOCK = 'proto/kms/v1/fields.lock.json';

/** Path from the repository's root -> content. */
export function generatedFiles(): Record<string, string> {
  const all: readonly Operation[] = Object.values(operations);
  const { text, numbers } = kmsProto(all, JSON.parse(read(LOCK) ?? '{}') as FieldNumbers);
  const types = Object.entries(protoTypes(join(root, 'proto'))).map(([path, content]) => [
    `proto/gen/${path}`,
    content,
  ]);
  return {
    ...(Object.fromEntries(types) as Record<string, string>),
    [LOCK]: `${JSON.stringify(numbers, undefined, 2)}\n`,
    'proto/kms/v1/kms.proto': text,
    'docs/api.md': apiDoc(all),
    'docs/errors.md': errorsDoc(all),
    'docs/configuration.md': configurationDoc(),
    'deploy/monitoring/dashboard.json': dashboard(),
    'deploy/k8s/monitoring/alerts.yaml': alertsResource(read('deploy/monitoring/alerts.yaml')!),
  };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function write(path: string, content: string): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

function main(check: boolean): void {
  const changed = Object.entries(generatedFiles()).filter(([path, content]) => read(path) !== content);
  for (const [path, content] of changed) {
    if (!check) write(path, content);
    console.log(`${check ? 'is not up to date' : 'written'}: ${path}`);
  }
  if (check && changed.length > 0) {
    console.error('Run `npm run gen` and commit what it writes.');
    process.exitCode = 1;
  }
}

if (import.meta.main) main(process.argv.includes('--check'));
