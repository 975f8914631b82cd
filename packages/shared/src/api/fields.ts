import { MAX_ENCRYPTION_CONTEXT } from '../hsm/encryption-context.ts';
import { KeyEncryptionMechanism } from './choices.ts';
import { blob, integer, list, structure, text, textMap } from './shape.ts';

// Fields shared by several operations, with the lengths, ranges and patterns of the KMS API model.

/** The pattern is the service's; the model has none. */
export const KeyId = text({ min: 1, max: 2048, pattern: String.raw`^\p{ASCII}+$` });
export const Arn = text({ min: 20, max: 2048 });
export const AccountId = text({ min: 12, max: 12, pattern: '[0-9]{12}' });
export const Region = text({ min: 1, max: 32, pattern: String.raw`^([a-z]+-){2,3}\d+$` });
export const AliasName = text({ min: 1, max: 256, pattern: '^[a-zA-Z0-9:/_-]+$' });
export const Description = text({ min: 0, max: 8192 });
export const Policy = text({ min: 1, max: 131_072, pattern: String.raw`[\u0009\u000A\u000D\u0020-\u00FF]+` });
export const PolicyName = text({ min: 1, max: 128, pattern: String.raw`[\w]+` });

export const Limit = integer(1, 1000);
export const Marker = text({ min: 1, max: 1024, pattern: String.raw`[\u0020-\u00FF]*` });
export const NumberOfBytes = integer(1, 1024);
export const PendingWindowInDays = integer(1, 365);
export const RotationPeriodInDays = integer(90, 2560);

export const Plaintext = blob(4096, { sensitive: true });
export const Ciphertext = blob(6144);
export const PublicKey = blob(8192);
export const EncryptionContext = textMap(MAX_ENCRYPTION_CONTEXT);
export const KeyMaterialId = text({ min: 64, max: 64, pattern: '^[a-f0-9]+$' });
export const KeyMaterialDescription = text({ min: 0, max: 256, pattern: String.raw`^[a-zA-Z0-9:/_\s.-]+$` });

export const TagKey = text({ min: 1, max: 128 });
export const TagValue = text({ min: 0, max: 256 });
export const Tag = structure('Tag', { TagKey, TagValue });
export const Tags = list(Tag);

export const GrantId = text({ min: 1, max: 128 });
export const GrantName = text({ min: 1, max: 256, pattern: '^[a-zA-Z0-9:/_-]+$' });
/** A token lets its holder use a grant before the grant has spread: it is a secret, although AWS prints a wrong one. */
export const GrantToken = text({ min: 1, max: 8192, secret: true });
export const GrantTokens = list(GrantToken, { min: 0, max: 10 });
export const Principal = text({ min: 1, max: 256, pattern: String.raw`^[\w+=,.@:/-]+$` });
export const ServicePrincipal = text({
  min: 1,
  max: 128,
  pattern: String.raw`^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$`,
});
export const SourceArn = text({
  min: 20,
  max: 512,
  pattern: '^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$',
});

export const RecipientInfo = structure('RecipientInfo', {
  KeyEncryptionAlgorithm: KeyEncryptionMechanism.optional(),
  AttestationDocument: blob(262_144).optional(),
});

export const CustomKeyStoreId = text({ min: 1, max: 64 });
export const CustomKeyStoreName = text({ min: 1, max: 256 });
export const CloudHsmClusterId = text({ min: 19, max: 24, pattern: 'cluster-[2-7a-zA-Z]{11,16}' });
export const KeyStorePassword = text({ min: 7, max: 32, secret: true, sensitive: true });
export const TrustAnchorCertificate = text({ min: 1, max: 5000 });
export const XksKeyId = text({ min: 1, max: 128, pattern: '^[a-zA-Z0-9-_.]+$' });
export const XksAccessKeyId = text({ min: 20, max: 30, pattern: '^[A-Z2-7]+$', secret: true, sensitive: true });
export const XksSecretAccessKey = text({
  min: 43,
  max: 64,
  pattern: String.raw`^[a-zA-Z0-9\/+=]+$`,
  secret: true,
  sensitive: true,
});
export const XksUriEndpoint = text({ min: 10, max: 128, pattern: '^https://[a-zA-Z0-9.-]+$' });
export const XksUriPath = text({
  min: 10,
  max: 128,
  pattern: String.raw`^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$`,
});
export const VpcEndpointServiceName = text({
  min: 20,
  max: 64,
  pattern: String.raw`^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$`,
});
