import { type CommandDef, defineCommand, type SubCommandsDef } from 'citty';
import type { Terminal } from './terminal.ts';

type MakeVerb = (terminal: Terminal, name: string) => CommandDef;
/** By name, each loaded when called: most need a fraction of what the others do. */
type Verbs = Record<string, () => Promise<MakeVerb>>;

const operator: Verbs = {
  'create-key': async () => (await import('./verbs/operator.ts')).createKey,
  'change-passphrase': async () => (await import('./verbs/operator.ts')).changePassphrase,
};

const domain: Verbs = {
  anchor: async () => (await import('./verbs/domain/anchor.ts')).anchor,
  checkpoint: async () => (await import('./verbs/domain/anchor.ts')).checkpoint,
  create: async () => (await import('./verbs/domain/create.ts')).create,
  status: async () => (await import('./verbs/domain/show.ts')).status,
  show: async () => (await import('./verbs/domain/show.ts')).show,
  verify: async () => (await import('./verbs/domain/show.ts')).verify,
  proposals: async () => (await import('./verbs/domain/proposals.ts')).proposals,
  propose: async () => (await import('./verbs/domain/proposals.ts')).propose,
  approve: async () => (await import('./verbs/domain/proposals.ts')).approve,
  rotate: async () => (await import('./verbs/domain/domain-keys.ts')).rotate,
  retire: async () => (await import('./verbs/domain/domain-keys.ts')).retire,
  reinstate: async () => (await import('./verbs/domain/domain-keys.ts')).reinstate,
  drop: async () => (await import('./verbs/domain/domain-keys.ts')).drop,
};

const member: Verbs = {
  list: async () => (await import('./verbs/member/show.ts')).list,
  fingerprint: async () => (await import('./verbs/member/show.ts')).fingerprint,
  admit: async () => (await import('./verbs/member/changes.ts')).admit,
  remove: async () => (await import('./verbs/member/changes.ts')).remove,
  leave: async () => (await import('./verbs/member/changes.ts')).leave,
  'create-offline': async () => (await import('./verbs/member/offline.ts')).createOffline,
  'check-offline': async () => (await import('./verbs/member/offline.ts')).checkOffline,
};

const account: Verbs = {
  create: async () => (await import('./verbs/account.ts')).create,
};

const store: Verbs = {
  accept: async () => (await import('./verbs/store.ts')).accept,
  authenticate: async () => (await import('./verbs/store.ts')).authenticate,
  'rotate-record-key': async () => (await import('./verbs/store.ts')).rotateRecordKey,
};

const others: Verbs = {
  backup: async () => (await import('./verbs/backup.ts')).backup,
  doctor: async () => (await import('./verbs/doctor.ts')).doctor,
  import: async () => (await import('./verbs/import.ts')).importKey,
  recover: async () => (await import('./verbs/recover.ts')).recover,
  restore: async () => (await import('./verbs/restore.ts')).restore,
  seed: async () => (await import('./verbs/seed.ts')).seed,
};

/** The whole command line. */
export function keyfleet(terminal: Terminal): CommandDef {
  const subCommands = (verbs: Verbs): SubCommandsDef =>
    Object.fromEntries(Object.entries(verbs).map(([verb, load]) => [verb, async () => (await load())(terminal, verb)]));
  const group = (name: string, description: string, verbs: Verbs): CommandDef =>
    defineCommand({ meta: { name, description }, subCommands: subCommands(verbs) });
  return defineCommand({
    meta: { name: 'keyfleet', description: 'Tools for the operators of a Keyfleet domain.' },
    subCommands: {
      operator: group('operator', 'Make and protect the signing keys of people and services.', operator),
      domain: group('domain', 'Found, inspect and change the domain.', domain),
      member: group('member', 'Admit, remove and list the HSMs of the domain.', member),
      account: group('account', 'Create API accounts.', account),
      store: group('store', 'Accept the store in Redis, authenticate its records, rotate their key.', store),
      ...subCommands(others),
    },
  });
}
