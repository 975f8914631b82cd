/**
 * Makes test/vectors/kms/domain-commands-3.json and operator-keys.json, like make-domain-vectors.ts.
 * Run with Node: `node test/vectors/make-command-vectors.ts`.
 */
import { type Change, memberOf, publicPart, rotation, signedBy, TestDomain } from '@keyfleet/test-support/domain';
import { sealOperatorKey } from '@keyfleet/cli/operator-key-file';
import { encodeDomainChange } from '@keyfleet/shared/domain/proposal';
import type { NewMember } from '@keyfleet/shared/domain/state';
import { base64, inBase64, write } from './vector-files.ts';

const domain = new TestDomain();
for (let i = 0; i < 3; i++) domain.rotate();
const [hsm] = domain.hsms as [TestDomain['hsms'][number]];
const safe = { ...memberOf(domain.newHsm('safe-1')), offline: true };
const { members, operators, rules, backupHorizonMs } = hsm.state!;

const passphrase = 'correct horse battery staple';
const privateKey = domain.alice.privateKey;
const pbes2 = { cipher: 'aes-256-cbc', passphrase: 'correct horse' };
write('operator-keys.json', {
  about: "Operators' key files, the one of releases before keyfleet/operator-key/1 first. The key is the same.",
  signingKey: base64(domain.alice.signingKey),
  files: [
    {
      protection: 'pbes2',
      passphrase: pbes2.passphrase,
      text: privateKey.export({ type: 'pkcs8', format: 'pem', ...pbes2 }),
    },
    { protection: 'scrypt', passphrase, text: sealOperatorKey(privateKey, passphrase) },
  ],
});

const ids = ['ab'.repeat(16)];
const changes: Change[] = [
  { name: 'CreateDomain', body: { members: members as NewMember[], operators, rules, backupHorizonMs } },
  rotation,
  { ...rotation, unwitnessed: true },
  { name: 'RetireDomainKeys', body: { ids } },
  { name: 'ReinstateDomainKeys', body: { ids } },
  { name: 'DropDomainKeys', body: { ids } },
  { name: 'ModifyMembers', body: { admit: [memberOf(hsm), safe], remove: ['hsm-2'] } },
  { name: 'ModifyOperators', body: { admit: [publicPart(domain.alice)], remove: ['carol'] } },
  { name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } },
  { name: 'LeaveDomain', body: { memberId: 'hsm-1' } },
];
write('domain-commands-3.json', {
  about:
    'Commands and their canonical bytes, which operators sign. Keys are DER SubjectPublicKeyInfo; bytes are base64.',
  signer: { operatorId: 'alice', signingKey: base64(domain.alice.signingKey) },
  commands: changes.map((one) => {
    const bound = domain.command(one, { generation: one.name === 'CreateDomain' ? 0 : 4 });
    const proposal = signedBy(bound, [domain.alice]);
    return {
      name: one.name,
      json: inBase64(bound),
      command: base64(encodeDomainChange(bound)),
      proposal: base64(proposal),
    };
  }),
});
