import { StartError } from './start-error.ts';

/**
 * The Regions of the partition `aws` (AWS General Reference, 2026); the first is the one that the generated files use.
 */
export const allRegions: readonly string[] = (
  'us-east-1 us-east-2 us-west-1 us-west-2 af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ' +
  'ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ' +
  'ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 ' +
  'me-central-1 me-south-1 mx-central-1 sa-east-1'
).split(' ');

/** The Regions that `--regions` names; all without it. Throws StartError. */
export function readRegions(text: string | undefined): readonly string[] {
  if (text === undefined) return allRegions;
  const named = [...new Set(text.split(',').map((name) => name.trim()))];
  const unknown = named.find((name) => !allRegions.includes(name));
  if (unknown === undefined) return named;
  throw new StartError(
    `--regions: '${unknown}' is no Region of AWS. Name them with commas, as in us-east-1,eu-west-1.`,
  );
}
