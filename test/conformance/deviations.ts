/** Where the registry differs from AWS's model on purpose. One that no longer differs fails the test. */
export const deviations: Readonly<Record<string, string>> = {
  'KeyMetadata.CustomerMasterKeySpec':
    'KMS answers the spec under both names for every key; the model stops the older name at the specs of 2022.',
  'GetPublicKeyResponse.CustomerMasterKeySpec': 'As in KeyMetadata.',
  'ListKeysRequest.ResourceOwners': 'AWS has it since a later release of the SDK than the one compared with.',
};
