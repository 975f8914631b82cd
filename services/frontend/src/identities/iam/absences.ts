import { defineAccountRead } from '../account-reads.ts';
import { QueryException } from '../query-exception.ts';
import { defineIam } from '../query-operation.ts';
import { paging, RoleName, UserName } from './fields.ts';

/** What IAM has and there is none of here. Terraform and clean-up scripts ask before they delete a user or a role. */

/** Lists of a user's things, with the member that holds them in the answer. */
const ofUsers = {
  ListMFADevices: 'MFADevices',
  ListSSHPublicKeys: 'SSHPublicKeys',
  ListServiceSpecificCredentials: 'ServiceSpecificCredentials',
  ListSigningCertificates: 'Certificates',
} as const;

const listsOfUsers = Object.entries(ofUsers).map(([name, member]) =>
  defineIam({
    name,
    readOnly: true,
    target: { kind: 'user', as: 'own' },
    input: { UserName: UserName.optional(), ...paging },
    run: async () => ({ [member]: [], IsTruncated: false }),
  }),
);

const listInstanceProfilesForRole = defineIam({
  name: 'ListInstanceProfilesForRole',
  readOnly: true,
  target: { kind: 'role', as: 'named' },
  input: { RoleName, ...paging },
  run: async () => ({ InstanceProfiles: [], IsTruncated: false }),
});

const ofAccounts = { ListAccountAliases: 'AccountAliases', ListVirtualMFADevices: 'VirtualMFADevices' } as const;

const listsOfAccounts = Object.entries(ofAccounts).map(([name, member]) =>
  defineAccountRead({
    service: 'iam',
    name,
    input: paging,
    run: async () => ({ [member]: [], IsTruncated: false }),
  }),
);

const loginProfiles = (['GetLoginProfile', 'DeleteLoginProfile'] as const).map((name) =>
  defineIam({
    name,
    readOnly: name === 'GetLoginProfile',
    target: { kind: 'user', as: 'own' },
    input: { UserName: UserName.optional() },
    run({ record }) {
      throw new QueryException('NoSuchEntity', `Login Profile for User ${record.name} cannot be found.`);
    },
  }),
);

export const absences = [...listsOfUsers, listInstanceProfilesForRole, ...listsOfAccounts, ...loginProfiles];
