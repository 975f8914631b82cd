import { type CommandDef, defineCommand } from 'citty';
import { backup } from './commands/backup.ts';
import { doctor } from './commands/doctor.ts';
import { anchor } from './commands/domain/anchor.ts';
import { checkpoint } from './commands/domain/checkpoint.ts';
import { approve } from './commands/domain/approve.ts';
import { create } from './commands/domain/create.ts';
import { drop, reinstate, retire } from './commands/domain/domain-keys.ts';
import { proposals } from './commands/domain/proposals.ts';
import { propose } from './commands/domain/propose.ts';
import { rotate } from './commands/domain/rotate.ts';
import { show } from './commands/domain/show.ts';
import { status } from './commands/domain/status.ts';
import { verify } from './commands/domain/verify.ts';
import { admit } from './commands/member/admit.ts';
import { checkOffline } from './commands/member/check-offline.ts';
import { createOffline } from './commands/member/create-offline.ts';
import { fingerprint } from './commands/member/fingerprint.ts';
import { leave } from './commands/member/leave.ts';
import { list } from './commands/member/list.ts';
import { remove } from './commands/member/remove.ts';
import { recover } from './commands/recover.ts';
import { restore } from './commands/restore.ts';
import { changePassphrase } from './commands/operator/change-passphrase.ts';
import { accept } from './commands/store/accept.ts';
import { createKey } from './commands/operator/create-key.ts';
import type { Terminal } from './terminal.ts';

type MakeCommand = (terminal: Terminal, name: string) => CommandDef;

/** The whole command line. */
export function keyfleet(terminal: Terminal): CommandDef {
  const group = (name: string, description: string, commands: Record<string, MakeCommand>): CommandDef =>
    defineCommand({
      meta: { name: `keyfleet ${name}`, description },
      subCommands: Object.fromEntries(Object.entries(commands).map(([verb, make]) => [verb, make(terminal, verb)])),
    });
  return defineCommand({
    meta: { name: 'keyfleet', description: 'For the operators of a Keyfleet domain.' },
    subCommands: {
      operator: group('operator', 'Signing keys of people and services.', {
        'create-key': createKey,
        'change-passphrase': changePassphrase,
      }),
      domain: group('domain', 'The domain: its foundation, state, rules and keys.', {
        anchor,
        checkpoint,
        create,
        status,
        show,
        verify,
        proposals,
        propose,
        approve,
        rotate,
        retire,
        reinstate,
        drop,
      }),
      member: group('member', 'The HSMs of the domain.', {
        list,
        fingerprint,
        admit,
        remove,
        leave,
        'create-offline': createOffline,
        'check-offline': checkOffline,
      }),
      store: group('store', 'What everything is kept in.', { accept }),
      backup: backup(terminal, 'keyfleet backup'),
      doctor: doctor(terminal, 'keyfleet doctor'),
      recover: recover(terminal, 'keyfleet recover'),
      restore: restore(terminal, 'keyfleet restore'),
    },
  });
}
