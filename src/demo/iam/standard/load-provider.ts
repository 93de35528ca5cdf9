/** Loads oidc-provider without its remark on Node 20. */
import type OidcProvider from 'oidc-provider';

/** It says this once while it loads, though it works here: the tests in this folder show so. */
const RUNTIME_REMARK = 'oidc-provider WARNING: Unsupported runtime.';

export async function loadProvider(): Promise<typeof OidcProvider> {
  const { console } = globalThis;
  const warn = console.warn.bind(console);
  console.warn = (...words: unknown[]) => {
    if (!String(words[0]).includes(RUNTIME_REMARK)) warn(...words);
  };
  try {
    const { default: Provider } = await import('oidc-provider');
    return Provider;
  } finally {
    console.warn = warn;
  }
}
