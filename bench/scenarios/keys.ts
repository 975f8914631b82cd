import { type KeySpec, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { check, type Preparation, type Scenario } from './scenario.ts';
import { shortName } from './spec-names.ts';

const specs = (Object.keys(keySpecs) as KeySpec[]).filter((spec) => spec !== 'SM2');

export const keyScenarios: readonly Scenario[] = [
  creating('create-key', {}),
  ...specs.map((spec) => creating(`create-key-${shortName(spec)}`, requestFor(spec))),
  {
    name: 'describe-key',
    operation: 'DescribeKey',
    async prepare({ caller, pool, keys }) {
      const ids = await pool.get({}, keys);
      const { KeyMetadata } = await caller.call('DescribeKey', { KeyId: ids[0] });
      check((KeyMetadata as { Arn?: unknown } | undefined)?.Arn === ids[0], 'DescribeKey describes another key');
      return ids.map((KeyId) => ({ operation: 'DescribeKey', input: { KeyId } }));
    },
  },
  {
    name: 'get-public-key',
    operation: 'GetPublicKey',
    async prepare({ caller, pool }) {
      const input = { KeyId: await pool.one(requestFor('ECC_NIST_P256')) };
      const [one, other] = [await caller.call('GetPublicKey', input), await caller.call('GetPublicKey', input)];
      check(one['PublicKey'] !== undefined && one['PublicKey'] === other['PublicKey'], 'a public key changes');
      return [{ operation: 'GetPublicKey', input }];
    },
  },
];

/** With the first of the usages that the spec allows; for RSA that is signing's. */
function requestFor(spec: KeySpec): { KeySpec: KeySpec; KeyUsage: KeyUsage } {
  const usages = Object.keys(keySpecs[spec].usages) as KeyUsage[];
  return { KeySpec: spec, KeyUsage: usages.includes('SIGN_VERIFY') ? 'SIGN_VERIFY' : usages[0]! };
}

function creating(name: string, request: { KeySpec?: KeySpec; KeyUsage?: KeyUsage }): Scenario {
  return {
    name,
    operation: 'CreateKey',
    async prepare(preparation) {
      await checkCreation(preparation, request);
      return [{ operation: 'CreateKey', input: request }];
    },
  };
}

async function checkCreation({ caller, pool }: Preparation, request: { KeySpec?: KeySpec }): Promise<void> {
  const KeyId = await pool.one(request);
  const { KeyMetadata } = await caller.call('DescribeKey', { KeyId });
  const found = (KeyMetadata as { KeySpec?: unknown } | undefined)?.KeySpec;
  check(found === (request.KeySpec ?? 'SYMMETRIC_DEFAULT'), `the key it makes is ${String(found)}`);
}
