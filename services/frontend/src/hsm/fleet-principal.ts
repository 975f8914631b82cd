/** Whose the credentials are that nobody signs with: the secrets that all frontends share (docs/decisions/0004). */
export const FLEET_PRINCIPAL = 'keyfleet:frontends';
