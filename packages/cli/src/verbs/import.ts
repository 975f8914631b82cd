import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { wrappingAlgorithms, wrappingKeySpecs } from '@keyfleet/shared/algorithms';
import type { KeySpec } from '@keyfleet/shared/key-specs';
import { CliError } from '../cli-error.ts';
import { kmsOptions, openKms, told } from '../kms/client.ts';
import { defaultWrapping, importMaterial } from '../kms/import-material.ts';
import { encodings, materialOf } from '../kms/material-file.ts';
import { verb } from '../verb.ts';

export const importKey = verb({
  description: 'Give a KMS key of origin EXTERNAL its key material, from a file or from stdin.',
  args: {
    file: {
      type: 'positional',
      description:
        'A private key as OpenSSL writes it (PEM or DER), or the bytes of a symmetric or HMAC key; - is stdin.',
      required: true,
    },
    key: { type: 'string', description: 'Id or ARN of the KMS key.', valueHint: 'ID', required: true },
    encoding: {
      type: 'string',
      description: `Encoding of a symmetric or HMAC key: ${encodings.join(', ')}.`,
      valueHint: 'NAME',
      default: 'raw',
    },
    'valid-to': {
      type: 'string',
      description: 'When the material expires; default: never.',
      valueHint: 'TIME',
    },
    new: {
      type: 'boolean',
      description: 'Import new material of a symmetric key, which the next RotateKeyOnDemand makes current.',
      default: false,
    },
    'material-id': { type: 'string', description: 'Import only material with this id.', valueHint: 'ID' },
    description: {
      type: 'string',
      description: 'Description of the material: where you keep it, for example.',
      valueHint: 'TEXT',
    },
    wrapping: {
      type: 'string',
      description: 'Wrapping algorithm, as AWS names it.',
      valueHint: 'NAME',
      default: defaultWrapping.algorithm,
    },
    'wrapping-key': {
      type: 'string',
      description: 'Wrapping key spec, as AWS names it.',
      valueHint: 'NAME',
      default: defaultWrapping.keySpec,
    },
    ...kmsOptions,
  },
  async run(args) {
    const validTo = args['valid-to'] === undefined ? undefined : expirationOf(args['valid-to']);
    const encoding = oneOf('--encoding', encodings, args.encoding);
    const algorithm = oneOf('--wrapping', wrappingAlgorithms, args.wrapping);
    const keySpec = oneOf('--wrapping-key', wrappingKeySpecs, args['wrapping-key']);
    const from = args.file === '-' ? 'stdin' : args.file;
    const bytes = await bytesOf(args.file);
    const kms = openKms(args);
    const { KeyMetadata } = await told(`key ${args.key}`, kms.describeKey({ KeyId: args.key }));
    const { KeyId, KeySpec, Origin } = KeyMetadata!;
    if (Origin !== 'EXTERNAL') {
      throw new CliError(
        `key ${args.key} has origin ${Origin}. Only a key that was made with origin EXTERNAL takes material.`,
      );
    }
    const material = materialOf(KeySpec as KeySpec, bytes, { from, encoding });
    const { new: isNew, 'material-id': materialId, description } = args;
    const given = { KeyId: KeyId!, material, validTo, isNew, materialId, description };
    const importing = importMaterial(kms, given, { algorithm, keySpec });
    const { KeyId: keyArn, KeyMaterialId } = await told(`importing ${from} into key ${args.key}`, importing);
    return { keyArn, keyMaterialId: KeyMaterialId, ...(validTo && { validTo: validTo.toISOString() }) };
  },
  text: ({ keyArn, keyMaterialId }) => `${keyArn} has its key material${keyMaterialId ? `, ${keyMaterialId}` : ''}.`,
});

async function bytesOf(file: string): Promise<Buffer> {
  try {
    return file === '-' ? await buffer(process.stdin) : await readFile(file);
  } catch (error) {
    throw new CliError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
}

function expirationOf(text: string): Date {
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new CliError('--valid-to must be a time such as 2027-01-31T12:00:00Z.', { exitCode: 2 });
}

function oneOf<const T extends string>(option: string, choices: readonly T[], given: string): T {
  const found = choices.find((choice) => choice === given);
  if (found !== undefined) return found;
  throw new CliError(`${option} must be one of ${choices.join(', ')}.`, { exitCode: 2 });
}
