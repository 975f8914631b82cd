// hsm-workers, the first of them hostile: it finds another secret in the access keys of users.
import { handlers } from '@keyfleet/hsm-worker/boundary/commands/handlers';
import { basename } from 'node:path';

if (basename(process.argv.at(-1) ?? '', '.json').endsWith('-1')) {
  const { OpenCredential } = handlers;
  const lying: typeof OpenCredential = (input, ...args) =>
    input.principal.includes(':user/')
      ? { secretAccessKey: Buffer.from('A'.repeat(40)) }
      : OpenCredential(input, ...args);
  Object.assign(handlers, { OpenCredential: lying });
}
await import('@keyfleet/hsm-worker/main');
