import type { Home } from './home.ts';
import type { Ports } from './ports.ts';

export async function foundDomain(_home: Home, _ports: Ports): Promise<void> {
  throw new Error('not yet');
}
