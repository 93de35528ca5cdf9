/**
 * nginx from Debian as the TLS front of servers that speak plain HTTP, with a certificate of a
 * private CA: as institutes put it before RGW and MinIO.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Closers } from '../../src/lib/closers.ts';
import { run } from '../demo/programs.ts';
import { freePort } from './free-port.ts';
import { install, nginx } from './packages.ts';
import { PrivateCa } from './private-ca.ts';
import { ServerGroup } from './server-group.ts';

export interface NginxFront extends AsyncDisposable {
  /** As it says itself. */
  readonly version: string;
  /** Of the CA, PEM: for SSL_CERT_FILE, NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** The TLS address of `plain`, an origin. */
  before(plain: string, signal: AbortSignal): Promise<string>;
}

const PROGRAM = '/usr/sbin/nginx';
const READY_MS = 10_000;

/** @throws Error that says what is missing. */
export async function startNginx(
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<NginxFront> {
  await install(nginx, say, signal);
  await using closers = new Closers();
  const ca = closers.use(await PrivateCa.create());
  const { key, cert } = await ca.issue();
  const group = closers.use(await ServerGroup.create('nginx'));
  const [keyFile, certFile] = [join(group.folder, 'server.key'), join(group.folder, 'server.pem')];
  await writeFile(keyFile, key, { mode: 0o600 });
  await writeFile(certFile, cert);
  const { stderr } = await run(PROGRAM, ['-v'], signal);
  let fronts = 0;
  const before = async (plain: string, signal: AbortSignal): Promise<string> => {
    const port = await freePort();
    fronts += 1;
    const name = `front-${fronts}`;
    const file = join(group.folder, `${name}.conf`);
    const place = { folder: group.folder, name, port, keyFile, certFile };
    await writeFile(file, configurationOf(new URL(plain).host, place));
    const args = ['-p', group.folder, '-c', file, '-e', 'stderr'];
    const server = group.start(name, PROGRAM, args);
    const answers = async (): Promise<boolean> => {
      await run('curl', ['-sS', '--cacert', ca.file, `https://127.0.0.1:${port}/`], signal);
      return true;
    };
    await group.ready(server, answers, READY_MS, signal);
    return `https://127.0.0.1:${port}`;
  };
  const held = closers.move();
  return {
    version: /nginx\/[\d.]+/.exec(stderr)?.[0] ?? 'nginx',
    caFile: ca.file,
    before,
    [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose](),
  };
}

interface FrontPlace {
  readonly folder: string;
  readonly name: string;
  readonly port: number;
  readonly keyFile: string;
  readonly certFile: string;
}

/**
 * Bodies go through as they come, in both directions: nothing is written to nginx's disk.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_proxy_module.html
 */
function configurationOf(behind: string, place: FrontPlace): string {
  const { folder, name, port, keyFile, certFile } = place;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${name}-${kind};`,
  );
  return `daemon off;
master_process off;
pid ${folder}/${name}.pid;
events { worker_connections 512; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  client_max_body_size 0;
  upstream behind { server ${behind}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certFile};
    ssl_certificate_key ${keyFile};
    keepalive_requests 1000000;
    location / {
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffers 16 128k;
      proxy_buffer_size 128k;
      proxy_busy_buffers_size 256k;
      proxy_max_temp_file_size 0;
      proxy_read_timeout 300s;
    }
  }
}
`;
}
