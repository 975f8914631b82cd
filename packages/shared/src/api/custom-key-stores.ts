import { z } from 'zod';
import { ConnectionErrorCode, ConnectionState, CustomKeyStoreType, XksProxyConnectivity } from './choices.ts';
import {
  AccountId,
  CloudHsmClusterId,
  CustomKeyStoreId,
  CustomKeyStoreName,
  KeyStorePassword,
  Limit,
  Marker,
  TrustAnchorCertificate,
  VpcEndpointServiceName,
  XksAccessKeyId,
  XksSecretAccessKey,
  XksUriEndpoint,
  XksUriPath,
} from './fields.ts';
import { defineOperation } from './operation.ts';
import { flag, list, structure, timestamp } from './shape.ts';

export const XksProxyAuthenticationCredential = structure('XksProxyAuthenticationCredentialType', {
  AccessKeyId: XksAccessKeyId,
  RawSecretAccessKey: XksSecretAccessKey,
});

export const XksProxyConfiguration = structure('XksProxyConfigurationType', {
  Connectivity: XksProxyConnectivity.optional(),
  AccessKeyId: XksAccessKeyId.optional(),
  UriEndpoint: XksUriEndpoint.optional(),
  UriPath: XksUriPath.optional(),
  VpcEndpointServiceName: VpcEndpointServiceName.optional(),
  VpcEndpointServiceOwner: AccountId.optional(),
});

export const CustomKeyStore = structure('CustomKeyStoresListEntry', {
  CustomKeyStoreId: CustomKeyStoreId.optional(),
  CustomKeyStoreName: CustomKeyStoreName.optional(),
  CloudHsmClusterId: CloudHsmClusterId.optional(),
  TrustAnchorCertificate: TrustAnchorCertificate.optional(),
  ConnectionState: ConnectionState.optional(),
  ConnectionErrorCode: ConnectionErrorCode.optional(),
  CreationDate: timestamp().optional(),
  CustomKeyStoreType: CustomKeyStoreType.optional(),
  XksProxyConfiguration: XksProxyConfiguration.optional(),
});

export const CreateCustomKeyStore = defineOperation({
  name: 'CreateCustomKeyStore',
  summary: 'Registers a key store outside the service: CloudHSM or an external key store proxy.',
  family: 'custom-key-stores',
  access: 'account',
  readOnly: false,
  input: z.object({
    CustomKeyStoreName,
    CloudHsmClusterId: CloudHsmClusterId.optional(),
    TrustAnchorCertificate: TrustAnchorCertificate.optional(),
    KeyStorePassword: KeyStorePassword.optional(),
    CustomKeyStoreType: CustomKeyStoreType.optional(),
    XksProxyUriEndpoint: XksUriEndpoint.optional(),
    XksProxyUriPath: XksUriPath.optional(),
    XksProxyVpcEndpointServiceName: VpcEndpointServiceName.optional(),
    XksProxyVpcEndpointServiceOwner: AccountId.optional(),
    XksProxyAuthenticationCredential: XksProxyAuthenticationCredential.optional(),
    XksProxyConnectivity: XksProxyConnectivity.optional(),
  }),
  output: z.object({
    CustomKeyStoreId: CustomKeyStoreId.optional(),
  }),
  errors: [
    'CloudHsmClusterInUseException',
    'CustomKeyStoreNameInUseException',
    'CloudHsmClusterNotFoundException',
    'CloudHsmClusterNotActiveException',
    'IncorrectTrustAnchorException',
    'CloudHsmClusterInvalidConfigurationException',
    'LimitExceededException',
    'XksProxyUriInUseException',
    'XksProxyUriEndpointInUseException',
    'XksProxyUriUnreachableException',
    'XksProxyIncorrectAuthenticationCredentialException',
    'XksProxyVpcEndpointServiceInUseException',
    'XksProxyVpcEndpointServiceNotFoundException',
    'XksProxyVpcEndpointServiceInvalidConfigurationException',
    'XksProxyInvalidResponseException',
    'XksProxyInvalidConfigurationException',
  ],
});

export const UpdateCustomKeyStore = defineOperation({
  name: 'UpdateCustomKeyStore',
  summary: 'Changes the settings of a custom key store.',
  family: 'custom-key-stores',
  access: 'account',
  readOnly: false,
  input: z.object({
    CustomKeyStoreId,
    NewCustomKeyStoreName: CustomKeyStoreName.optional(),
    KeyStorePassword: KeyStorePassword.optional(),
    CloudHsmClusterId: CloudHsmClusterId.optional(),
    XksProxyUriEndpoint: XksUriEndpoint.optional(),
    XksProxyUriPath: XksUriPath.optional(),
    XksProxyVpcEndpointServiceName: VpcEndpointServiceName.optional(),
    XksProxyVpcEndpointServiceOwner: AccountId.optional(),
    XksProxyAuthenticationCredential: XksProxyAuthenticationCredential.optional(),
    XksProxyConnectivity: XksProxyConnectivity.optional(),
  }),
  output: z.object({}),
  errors: [
    'CustomKeyStoreNotFoundException',
    'CustomKeyStoreNameInUseException',
    'CloudHsmClusterNotFoundException',
    'CloudHsmClusterNotRelatedException',
    'CustomKeyStoreInvalidStateException',
    'CloudHsmClusterNotActiveException',
    'CloudHsmClusterInvalidConfigurationException',
    'XksProxyUriInUseException',
    'XksProxyUriEndpointInUseException',
    'XksProxyUriUnreachableException',
    'XksProxyIncorrectAuthenticationCredentialException',
    'XksProxyVpcEndpointServiceInUseException',
    'XksProxyVpcEndpointServiceNotFoundException',
    'XksProxyVpcEndpointServiceInvalidConfigurationException',
    'XksProxyInvalidResponseException',
    'XksProxyInvalidConfigurationException',
  ],
});

export const DeleteCustomKeyStore = defineOperation({
  name: 'DeleteCustomKeyStore',
  summary: 'Forgets a custom key store that is disconnected and empty.',
  family: 'custom-key-stores',
  access: 'account',
  readOnly: false,
  input: z.object({
    CustomKeyStoreId,
  }),
  output: z.object({}),
  errors: ['CustomKeyStoreHasCMKsException', 'CustomKeyStoreInvalidStateException', 'CustomKeyStoreNotFoundException'],
});

export const DescribeCustomKeyStores = defineOperation({
  name: 'DescribeCustomKeyStores',
  summary: "Lists the custom key stores of the caller's account and Region, or one of them.",
  family: 'custom-key-stores',
  access: 'account',
  readOnly: true,
  input: z.object({
    CustomKeyStoreId: CustomKeyStoreId.optional(),
    CustomKeyStoreName: CustomKeyStoreName.optional(),
    Limit: Limit.optional(),
    Marker: Marker.optional(),
  }),
  output: z.object({
    CustomKeyStores: list(CustomKeyStore).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: ['CustomKeyStoreNotFoundException', 'InvalidMarkerException'],
});

export const ConnectCustomKeyStore = defineOperation({
  name: 'ConnectCustomKeyStore',
  summary: 'Begins to connect a custom key store.',
  family: 'custom-key-stores',
  access: 'account',
  readOnly: false,
  input: z.object({
    CustomKeyStoreId,
  }),
  output: z.object({}),
  errors: [
    'CloudHsmClusterNotActiveException',
    'CustomKeyStoreInvalidStateException',
    'CustomKeyStoreNotFoundException',
    'CloudHsmClusterInvalidConfigurationException',
  ],
});

export const DisconnectCustomKeyStore = defineOperation({
  name: 'DisconnectCustomKeyStore',
  summary: 'Disconnects a custom key store; its KMS keys cannot be used until it is connected again.',
  family: 'custom-key-stores',
  access: 'account',
  readOnly: false,
  input: z.object({
    CustomKeyStoreId,
  }),
  output: z.object({}),
  errors: ['CustomKeyStoreInvalidStateException', 'CustomKeyStoreNotFoundException'],
});
