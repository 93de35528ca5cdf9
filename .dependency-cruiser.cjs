/**
 * The layers of src, lowest first: a folder imports itself and what its row lists.
 * docs/ARCHITECTURE.md shows the same table; `npm run check` enforces this one.
 */
const mayImport = {
  lib: [],
  config: ['lib'],
  net: ['lib'],
  auth: ['lib', 'net'],
  sts: ['lib', 'net', 'auth'],
  store: ['lib'],
  s3: ['lib', 'net', 'sts', 'store'],
  cache: ['lib'],
  fs: ['lib', 'cache', 'store'],
  fuse: ['lib', 'fs'],
  daemon: ['lib', 'config', 'net', 'auth', 'sts', 'store', 's3', 'cache', 'fs', 'fuse'],
  cli: ['lib', 'config', 'daemon'],
  demo: ['lib'],
};

/** Packages that one folder owns; nobody else may import them. */
const ownedBy = {
  '^openid-client': 'auth',
  '^undici': 'net',
  '^@napi-rs/keyring': 'auth',
  '^fuse-native': 'fuse',
  '^commander$|^uqr$': 'cli',
  '^yaml$': 'config',
  '^oidc-provider$|^jose$': 'demo',
};

const layers = Object.entries(mayImport).map(([folder, below]) => ({
  name: `layer-${folder}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...below].join('|')})/` },
}));

const owners = Object.entries(ownedBy).map(([pattern, folder]) => ({
  name: `only-${folder}-uses-${pattern.replace(/[^a-z0-9]+/gi, '-')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: `^src/${folder}/` },
  to: { path: `node_modules/(${pattern.replace(/\^/g, '').replace(/\$/g, '/')})` },
}));

module.exports = {
  forbidden: [
    ...layers,
    ...owners,
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-dev-dependency-in-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/demo/' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};
