import { isIP } from 'node:net';
import { duration, filePath, hostPort } from '@keyfleet/shared/config';
import { LogConfig } from '@keyfleet/shared/log';
import { isLoopback } from '@keyfleet/shared/tls/plaintext';
import { z } from 'zod';

/** The longest path of a Unix socket, in bytes: `sun_path` without its final zero (unix(7)). */
const MAX_SOCKET_PATH = 107;

const WebIdentity = z.strictObject({
  roleArn: z
    .string()
    .regex(/^arn:[a-z-]+:iam::\d{12}:role\/[!-~]+$/, 'must be the ARN of a role')
    .describe('The role to assume.'),
  tokenFile: filePath().describe("A token of one of the frontends' `oidcIssuers`; read again for every session."),
  stsUrl: z.url({ protocol: /^https?$/ }).describe("The frontends' HTTP edge, which answers STS."),
});
export type WebIdentity = z.output<typeof WebIdentity>;

/** The configuration of a KMS plugin for Kubernetes. */
export const PluginConfig = z
  .strictObject({
    socket: z
      .string()
      .startsWith('/', 'must be an absolute path')
      .refine((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH, `must have ${MAX_SOCKET_PATH} bytes at most`)
      .describe('The Unix socket that kube-apiserver calls, `endpoint` in its EncryptionConfiguration.'),
    keyId: z
      .string()
      .min(1, 'must be a key ARN, alias or key id')
      .describe('The KMS key that encrypts: its ARN, alias or id.'),
    region: z.string().min(1, 'must be the Region of the key').describe('The Region of the key.'),
    grpc: hostPort().describe("The frontends' gRPC edge."),
    tls: z
      .strictObject({
        caFile: filePath()
          .optional()
          .describe(
            "Authorities (PEM) that the frontends' certificate must chain to; without it, those that Node.js trusts. Read again when it changes.",
          ),
      })
      .optional()
      .describe('Speaks TLS with the frontends. Without it they must be on this machine.'),
    credentialsFile: filePath()
      .optional()
      .describe('An AWS credentials file, whose profile `default` is used; this or `webIdentity`.'),
    webIdentity: WebIdentity.optional().describe('Gets credentials for a token, by AssumeRoleWithWebIdentity.'),
    encryptionContext: z
      .record(z.string(), z.string())
      .default({})
      .describe('Bound to every ciphertext, such as `{ "cluster": "prod" }`: a policy can ask for it.'),
    timeout: duration('1s').describe(
      "Of one call of Keyfleet. Status and Encrypt make two, within kube-apiserver's own timeout of 3 s.",
    ),
    log: LogConfig.describe('Logging.'),
  })
  .superRefine(({ grpc, tls, credentialsFile, webIdentity }, context) => {
    const refuse = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    if ((credentialsFile === undefined) === (webIdentity === undefined)) {
      refuse([], 'needs one of credentialsFile and webIdentity');
    }
    if (tls === undefined && !isLoopback(grpc.host)) {
      refuse(['grpc'], `${grpc.text} is another machine, and keys of the cluster would pass unencrypted: set tls`);
    }
    // As for peers: grpc-js asks for no certificate by IP address (RFC 6066, section 3).
    if (tls !== undefined && isIP(grpc.host) !== 0) {
      refuse(['grpc'], `${grpc.text}: with tls, write the host name of its certificate, not an IP address`);
    }
    if (webIdentity?.stsUrl.startsWith('http:') === true && !isLoopback(new URL(webIdentity.stsUrl).hostname)) {
      refuse(['webIdentity', 'stsUrl'], 'is another machine, and the token would pass unencrypted: write https://');
    }
  });
export type PluginConfig = z.output<typeof PluginConfig>;
