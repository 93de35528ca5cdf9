/** The page a browser shows when a login has come back: plain, without script, link or token. */

/** `title` and `text` may be of a server: they are shown as text. */
export function callbackPage(title: string, text: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>wire: ${escaped(title)}</title>
<meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}</style></head>
<body><main><h1>${escaped(title)}</h1>
<p>${escaped(text)}</p></main></body></html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
}
