// hsm-workers, the first of them hostile: the key pairs that it makes are not what an honest member makes.
import type { CommandHandler } from '@keyfleet/hsm-worker/boundary/commands/command';
import { handlers } from '@keyfleet/hsm-worker/boundary/commands/handlers';
import { publicKeyDerOf } from '@keyfleet/hsm-worker/boundary/keys/material-to-seal';
import { materialIdOf } from '@keyfleet/hsm-worker/boundary/tokens/material-id';
import { sealToken } from '@keyfleet/hsm-worker/boundary/tokens/sealed-token';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { basename } from 'node:path';
import { wrongKeyPairs } from './wrong-key-pairs.ts';

if (basename(process.argv.at(-1) ?? '', '.json').endsWith('-1')) {
  const honest = handlers.GenerateBackingKey;
  const taken = new Map<string, number>();
  /** Each kind of wrong pair of a spec in turn, the first one first. */
  const hostile: CommandHandler<'GenerateBackingKey'> = (input, context, caller) => {
    const { keyId, account, keySpec, keyUsage } = input;
    const kinds = Object.entries(wrongKeyPairs).filter(([, [spec]]) => spec === keySpec);
    if (kinds.length === 0) return honest(input, context, caller);
    const turn = taken.get(keySpec) ?? 0;
    taken.set(keySpec, turn + 1);
    const [what, [, make]] = kinds[turn % kinds.length]!;
    const secret = make();
    const materialId = materialIdOf(context.keyring.materialIdKey, { keyId, material: secret });
    const header = { keyId, account, materialId, keySpec, keyUsage, origin: 'AWS_KMS' as const };
    const token = sealToken(ExportedKeyToken, { header, secret }, context);
    const publicKey = publicKeyOf(secret);
    process.stderr.write(`wrong key pair: ${what}: ${publicKey.toString('base64')}\n`);
    return { token, materialId, publicKey };
  };
  Object.assign(handlers, { GenerateBackingKey: hostile });
}
/** OpenSSL does not read all of them, and some only now and then. */
function publicKeyOf(secret: Buffer): Buffer {
  try {
    return publicKeyDerOf(secret);
  } catch {
    return Buffer.from('of a key that cannot be read');
  }
}
await import('@keyfleet/hsm-worker/main');
