import { KMS } from '@aws-sdk/client-kms';
import { elsewhereOf } from '@keyfleet/shared/tls/plaintext';
import { CliError } from '../cli-error.ts';
import { assertLocal, tlsOptions } from '../tls-options.ts';

export const kmsOptions = {
  endpoint: {
    type: 'string',
    description: 'Endpoint of the KMS API. Default: from the AWS configuration.',
    valueHint: 'URL',
  },
  region: {
    type: 'string',
    description: 'Region of the keys. Default: from the AWS configuration.',
    valueHint: 'R',
  },
  'allow-plaintext': tlsOptions['allow-plaintext'],
} as const;

interface KmsArgs {
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly 'allow-plaintext'?: boolean | undefined;
}

/**
 * Credentials, and anything the options do not say, come from the same places as for AWS's own command line. Calls
 * reject with CliError if they would go unencrypted to another machine: answers have no signature, so that whoever is
 * on the way could have key material wrapped for himself.
 */
export function openKms(args: KmsArgs): KMS {
  const { endpoint, region } = args;
  const kms = new KMS({ ...(endpoint !== undefined && { endpoint }), ...(region !== undefined && { region }) });
  kms.middlewareStack.add(
    (next) => async (sent) => {
      const { protocol, hostname } = sent.request as { readonly protocol: string; readonly hostname: string };
      if (protocol !== 'https:')
        assertLocal('--endpoint', elsewhereOf([hostname.replace(/^\[|\]$/g, '')]), args, 'write https://');
      return next(sent);
    },
    { step: 'build', name: 'refusePlaintext' },
  );
  return kms;
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
    if (/^E[A-Z]+$/.test(code)) throw new CliError(`${what}: cannot reach the API (${code}).`, { cause: error });
    if (message.startsWith('Region is missing'))
      throw new CliError('no Region is configured: give --region.', { cause: error });
    if (!('$metadata' in error) && name !== 'CredentialsProviderError') throw error;
    throw new CliError(`${what}: ${name}${message === NO_MESSAGE ? '' : `: ${message}`}`, { cause: error });
  }
}
