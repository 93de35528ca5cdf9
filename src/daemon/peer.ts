/** Who is at the other end of a connection over a Unix socket; Node itself cannot tell. */
import type { Socket } from 'node:net';
import { loadAddon } from '../lib/native-addon.ts';

/** What of the addon is used here; see native/linux/peer.h. */
interface PeerAddon {
  peerUid(descriptor: number): number;
}

/** Undefined where nobody can say: on other systems, or once the connection is gone. */
export function peerUidOf(socket: Socket): number | undefined {
  if (process.platform !== 'linux') return undefined;
  // libuv's descriptor, which Node's types do not show: net.Socket has a Pipe as its handle.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } };
  if (handle?.fd === undefined || handle.fd < 0) return undefined;
  try {
    const uid = (loadAddon() as PeerAddon).peerUid(handle.fd);
    return uid >= 0 ? uid : undefined;
  } catch {
    // Without the addon there are no mounts to control.
    return undefined;
  }
}
