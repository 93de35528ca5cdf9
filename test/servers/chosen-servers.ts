import type { ServerName } from '../../scripts/servers/real-server.ts';
import { serverNames } from '../../scripts/servers/start.ts';

/** What `npm run test:servers -- NAME` asked for, as `WIRE_SERVERS`; every server otherwise. */
export function chosenServers(): readonly ServerName[] {
  const asked = process.env['WIRE_SERVERS']?.split(',') ?? serverNames;
  return serverNames.filter((name) => asked.includes(name));
}
