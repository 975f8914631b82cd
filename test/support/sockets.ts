import { Socket } from 'node:net';

/** Connected to nobody, but said to come from there. */
export function socketFrom(remoteAddress: string, remotePort: number): Socket {
  return Object.defineProperties(new Socket(), {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: remotePort },
  });
}
