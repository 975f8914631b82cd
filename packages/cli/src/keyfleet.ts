import { type CommandDef, defineCommand, type SubCommandsDef } from 'citty';
import type { Terminal } from './terminal.ts';

type MakeCommand = (terminal: Terminal, name: string) => CommandDef;
/** By name. Only what is called is loaded: most commands need a fraction of all that the others do. */
type Commands = Record<string, () => Promise<MakeCommand>>;

const operator: Commands = {
  'create-key': async () => (await import('./commands/operator.ts')).createKey,
  'change-passphrase': async () => (await import('./commands/operator.ts')).changePassphrase,
};

const domain: Commands = {
  anchor: async () => (await import('./commands/domain/anchor.ts')).anchor,
  checkpoint: async () => (await import('./commands/domain/anchor.ts')).checkpoint,
  create: async () => (await import('./commands/domain/create.ts')).create,
  status: async () => (await import('./commands/domain/show.ts')).status,
  show: async () => (await import('./commands/domain/show.ts')).show,
  verify: async () => (await import('./commands/domain/show.ts')).verify,
  proposals: async () => (await import('./commands/domain/proposals.ts')).proposals,
  propose: async () => (await import('./commands/domain/proposals.ts')).propose,
  approve: async () => (await import('./commands/domain/proposals.ts')).approve,
  rotate: async () => (await import('./commands/domain/domain-keys.ts')).rotate,
  retire: async () => (await import('./commands/domain/domain-keys.ts')).retire,
  reinstate: async () => (await import('./commands/domain/domain-keys.ts')).reinstate,
  drop: async () => (await import('./commands/domain/domain-keys.ts')).drop,
};

const member: Commands = {
  list: async () => (await import('./commands/member/show.ts')).list,
  fingerprint: async () => (await import('./commands/member/show.ts')).fingerprint,
  admit: async () => (await import('./commands/member/changes.ts')).admit,
  remove: async () => (await import('./commands/member/changes.ts')).remove,
  leave: async () => (await import('./commands/member/changes.ts')).leave,
  'create-offline': async () => (await import('./commands/member/offline.ts')).createOffline,
  'check-offline': async () => (await import('./commands/member/offline.ts')).checkOffline,
};

const account: Commands = {
  create: async () => (await import('./commands/account.ts')).create,
};

const store: Commands = {
  accept: async () => (await import('./commands/store.ts')).accept,
  authenticate: async () => (await import('./commands/store.ts')).authenticate,
};

const others: Commands = {
  backup: async () => (await import('./commands/backup.ts')).backup,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  recover: async () => (await import('./commands/recover.ts')).recover,
  restore: async () => (await import('./commands/restore.ts')).restore,
};

/** The whole command line. */
export function keyfleet(terminal: Terminal): CommandDef {
  const subCommands = (commands: Commands): SubCommandsDef =>
    Object.fromEntries(
      Object.entries(commands).map(([verb, load]) => [verb, async () => (await load())(terminal, verb)]),
    );
  const group = (name: string, description: string, commands: Commands): CommandDef =>
    defineCommand({ meta: { name: `keyfleet ${name}`, description }, subCommands: subCommands(commands) });
  return defineCommand({
    meta: { name: 'keyfleet', description: 'For the operators of a Keyfleet domain.' },
    subCommands: {
      operator: group('operator', 'Signing keys of people and services.', operator),
      domain: group('domain', 'The domain: its foundation, state, rules and keys.', domain),
      member: group('member', 'The HSMs of the domain.', member),
      account: group('account', 'Accounts of the API.', account),
      store: group('store', 'What everything is kept in.', store),
      ...subCommands(others),
    },
  });
}
