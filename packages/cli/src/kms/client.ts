import { KMS } from '@aws-sdk/client-kms';
import { CliError } from '../cli-error.ts';

export const kmsOptions = {
  endpoint: {
    type: 'string',
    description: "The AWS KMS API; without it, where AWS's own configuration says.",
    valueHint: 'URL',
  },
  region: {
    type: 'string',
    description: "Region of the keys; without it, as AWS's configuration says.",
    valueHint: 'R',
  },
} as const;

/** Credentials, and anything the options do not say, come from the same places as for AWS's own command line. */
export function openKms({ endpoint, region }: { endpoint?: string | undefined; region?: string | undefined }): KMS {
  return new KMS({ ...(endpoint !== undefined && { endpoint }), ...(region !== undefined && { region }) });
}

/** The SDK's text for an exception without a message. */
const NO_MESSAGE = 'UnknownError';

/** Runs API calls. An exception of the API, and any reason it cannot be called, becomes one line. */
export async function told<T>(what: string, calls: Promise<T>): Promise<T> {
  try {
    return await calls;
  } catch (error) {
    if (error instanceof CliError || !(error instanceof Error)) throw error;
    const code = 'code' in error ? String(error.code) : '';
    const { name, message } = error;
    if (/^E[A-Z]+$/.test(code)) throw new CliError(`${what}: the API cannot be reached (${code}).`, { cause: error });
    if (message.startsWith('Region is missing')) throw new CliError('which Region? Give --region.', { cause: error });
    if (!('$metadata' in error) && name !== 'CredentialsProviderError') throw error;
    throw new CliError(`${what}: ${name}${message === NO_MESSAGE ? '' : `: ${message}`}`, { cause: error });
  }
}
