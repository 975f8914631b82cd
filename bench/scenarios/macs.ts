import { keySpecs } from '@keyfleet/shared/key-specs';
import { bytesOf, check, type Preparation, type Scenario } from './scenario.ts';
import { shortName, specsFor } from './spec-names.ts';

const variants = specsFor('GENERATE_VERIFY_MAC').map((spec) => {
  const { usages } = keySpecs[spec] as { usages: { GENERATE_VERIFY_MAC: readonly string[] } };
  return { name: shortName(spec), spec, algorithm: usages.GENERATE_VERIFY_MAC[0]! };
});
type Variant = (typeof variants)[number];

const usual = variants.find(({ spec }) => spec === 'HMAC_256')!;

export const macScenarios: readonly Scenario[] = [
  generating('generate-mac', usual),
  ...variants.flatMap((variant) => [generating(`generate-mac-${variant.name}`, variant), verifying(variant)]),
];

function generating(name: string, variant: Variant): Scenario {
  const prepare = async (preparation: Preparation) => [
    { operation: 'GenerateMac', input: (await checkedMac(preparation, variant)).input },
  ];
  return { name, operation: 'GenerateMac', prepare };
}

function verifying(variant: Variant): Scenario {
  const prepare = async (preparation: Preparation) => {
    const { input, Mac } = await checkedMac(preparation, variant);
    return [{ operation: 'VerifyMac', input: { ...input, Mac } }];
  };
  return { name: `verify-mac-${variant.name}`, operation: 'VerifyMac', prepare };
}

async function checkedMac({ caller, pool, payload }: Preparation, { spec, algorithm }: Variant) {
  const KeyId = await pool.one({ KeySpec: spec, KeyUsage: 'GENERATE_VERIFY_MAC' });
  const input = { KeyId, Message: bytesOf(payload), MacAlgorithm: algorithm };
  const { Mac } = await caller.call('GenerateMac', input);
  const { MacValid } = await caller.call('VerifyMac', { ...input, Mac });
  check(MacValid === true, `it does not verify its own ${algorithm}`);
  const { Mac: other } = await caller.call('GenerateMac', { ...input, Message: bytesOf(payload + 1) });
  check(other !== Mac, `${algorithm} of two messages is the same`);
  return { input, Mac };
}
