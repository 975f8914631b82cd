import type { Operation } from '@keyfleet/shared/api/operation';
import { type BlobShape, structureOf } from '@keyfleet/shared/api/shape';
import type { Attempt } from './attempt.ts';

/**
 * Overwrites what a request brought and was given: every blob of its input, which nobody else has, and what is secret in its output. The
 * rest of an output may be kept elsewhere, as a key's public key is.
 */
export function overwriteSecrets({ operation, input, output }: Attempt): void {
  if (operation === undefined) return;
  const names = blobsOf(operation);
  overwrite(input, names.input);
  overwrite(output, names.output);
}

function overwrite(values: unknown, names: readonly string[]): void {
  if (values === undefined) return;
  for (const name of names) (values as Record<string, Uint8Array | undefined>)[name]?.fill(0);
}

interface Names {
  readonly input: readonly string[];
  readonly output: readonly string[];
}

const known = new Map<Operation, Names>();

function blobsOf(operation: Operation): Names {
  const found = known.get(operation);
  if (found) return found;
  const names = {
    input: namesOf(operation.input.shape, () => true),
    output: namesOf(operation.output?.shape ?? {}, ({ sensitive }) => sensitive === true),
  };
  known.set(operation, names);
  return names;
}

function namesOf(members: Parameters<typeof structureOf>[0], isMeant: (shape: BlobShape) => boolean): string[] {
  return structureOf(members).members.flatMap(({ name, shape }) =>
    shape.kind === 'blob' && isMeant(shape) ? [name] : [],
  );
}
