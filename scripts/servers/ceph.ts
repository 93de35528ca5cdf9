/**
 * Ceph with one monitor, one store and one gateway, as plain processes. Nothing of it is for data
 * that anybody wants to keep.
 *
 * @see https://docs.ceph.com/en/pacific/install/manual-deployment/
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../demo/programs.ts';
import { freePort } from './free-port.ts';
import type { ServerGroup } from './server-group.ts';
import type { AdminKey } from './signed-request.ts';

export interface CephOptions {
  /** Shortest lease of its STS in seconds; Ceph's own floor is 900. */
  readonly leaseFloorSeconds: number;
}

export interface Ceph {
  readonly version: string;
  /** Of the gateway: objects, STS and the administration of roles. */
  readonly endpoint: string;
  /** The same without TCP_NODELAY, as a gateway is when nobody has thought of it. */
  readonly delayedEndpoint: string;
  readonly root: AdminKey;
}

const GATEWAY = 'client.rgw.a';
/** The gateway makes its pools at the first start. */
const READY_MS = 120_000;
/** The store's file is sparse. */
const STORE_BYTES = 8 * 2 ** 30;

export async function startCeph(
  group: ServerGroup,
  options: CephOptions,
  signal: AbortSignal,
): Promise<Ceph> {
  const { folder } = group;
  const file = join(folder, 'ceph.conf');
  const [monitor, gateway, delayed] = [await freePort(), await freePort(), await freePort()];
  const id = randomUUID();
  const ports = { monitor, gateway, delayed, first: await freePort() };
  await writeFile(file, configuration(folder, id, ports, options), { mode: 0o600 });
  for (const name of ['mon', 'osd', 'rgw']) await mkdir(join(folder, name));
  const ceph = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await run(program, ['--conf', file, ...args], signal)).stdout;

  const map = join(folder, 'monmap');
  const address = `[v2:127.0.0.1:${monitor}]`;
  await run('monmaptool', ['--create', '--addv', 'a', address, '--fsid', id, map], signal);
  await ceph('ceph-mon', '-i', 'a', '--mkfs', '--monmap', map, '--keyring', '/dev/null');
  group.start('ceph-mon', 'ceph-mon', ['--conf', file, '-i', 'a', '-f']);
  const storeId = randomUUID();
  await ceph('ceph', '--connect-timeout', '30', 'osd', 'new', storeId, '0');
  await ceph('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', storeId);
  group.start('ceph-osd', 'ceph-osd', ['--conf', file, '-i', '0', '-f']);
  const radosgw = group.start('radosgw', 'radosgw', ['--conf', file, '-n', GATEWAY, '-f']);
  const endpoint = `http://127.0.0.1:${gateway}`;
  const answers = async (): Promise<boolean> => (await fetch(endpoint, { signal })).status === 200;
  await group.ready(radosgw, answers, READY_MS, signal);
  const root = rootOf(await ceph('radosgw-admin', '-n', GATEWAY, ...rootUser));
  const version = (await run('radosgw', ['--version'], signal)).stdout.trim();
  return { version, endpoint, delayedEndpoint: `http://127.0.0.1:${delayed}`, root };
}

/** Without a key of ours it makes one: it would be seen among the arguments. */
const rootUser: readonly string[] = [
  'user',
  'create',
  '--uid=root',
  '--display-name=root',
  // Objects belong to whoever wrote them: the owner of the bucket may not read those of a role.
  '--admin',
  '--caps=roles=*;oidc-provider=*;user-policy=*;users=*;buckets=*',
];

function rootOf(json: string): AdminKey {
  const { keys } = JSON.parse(json) as {
    readonly keys: readonly { readonly access_key: string; readonly secret_key: string }[];
  };
  const [key] = keys;
  if (key === undefined) throw new Error('radosgw-admin made a user without a key');
  return { accessKeyId: key.access_key, secretAccessKey: key.secret_key };
}

interface Ports {
  readonly monitor: number;
  readonly gateway: number;
  readonly delayed: number;
  /** The store takes a few from here on. */
  readonly first: number;
}

function configuration(
  folder: string,
  id: string,
  { monitor, gateway, delayed, first }: Ports,
  { leaseFloorSeconds }: CephOptions,
): string {
  return `
[global]
fsid = ${id}
mon_host = [v2:127.0.0.1:${monitor}]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_ipv6 = false
ms_bind_port_min = ${first}
ms_bind_port_max = ${first + 200}
# Whoever reaches these ports is us. Without keys the gateway's default of secure mode fails.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_client_mode = crc
run_dir = ${folder}
admin_socket = ${folder}/$name.asok
log_file = ${folder}/$name.daemon.log
crash_dir = ${folder}
# One copy of everything, on one store.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# Test machines have full disks.
mon_data_avail_crit = 1
mon_data_avail_warn = 2
[mon]
mon_data = ${folder}/mon
mon_cluster_log_file = ${folder}/cluster.log
auth_allow_insecure_global_id_reclaim = false
[osd]
osd_data = ${folder}/osd
bluestore_block_size = ${STORE_BYTES}
bluestore_block_create = true
osd_memory_target = 1073741824
[${GATEWAY}]
rgw_data = ${folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:${gateway} tcp_nodelay=1, beast endpoint=127.0.0.1:${delayed}
rgw_enable_apis = s3, admin, sts, iam
rgw_s3_auth_use_sts = true
rgw_sts_key = ${randomBytes(8).toString('hex')}
rgw_sts_min_session_duration = ${leaseFloorSeconds}
rgw_enable_usage_log = false
rgw_override_bucket_index_max_shards = 1
# What was deleted is given back within seconds, not hours: the store is small.
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
rgw_gc_processor_max_time = 10
`;
}
