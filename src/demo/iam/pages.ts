/**
 * The few pages a person sees: plain forms without script, the same in both dialects. The last page
 * says how it ended in `data-outcome`, for `browser.ts`.
 */

export type Outcome = 'approved' | 'denied' | 'error';

/** A whole page. `content` is HTML; everything variable in it went through `escapeHtml`. */
export function page(title: string, content: string, outcome?: Outcome): string {
  const mark = outcome === undefined ? '' : ` data-outcome="${outcome}"`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}
input,button{font:inherit;padding:.4rem .6rem;margin:.2rem 0}label{display:block}</style></head>
<body><main${mark}><h1>${escapeHtml(title)}</h1>
${content}
</main></body></html>
`;
}

export function outcomePage(outcome: Outcome, text: string): string {
  const title = { approved: 'Signed in', denied: 'Denied', error: 'That did not work' }[outcome];
  return page(title, `<p>${escapeHtml(text)}</p>`, outcome);
}

/** Asks for name and password. `message` says why again. */
export function loginPage(action: string, message = ''): string {
  return page(
    'Log in',
    `<p>${escapeHtml(message)}</p>
<form method="post" action="${escapeHtml(action)}">
<label>Name <input name="username" autocomplete="username" autofocus></label>
<label>Password <input type="password" name="password" autocomplete="current-password"></label>
<button>Log in</button></form>`,
  );
}

export function userCodePage(action: string, message = ''): string {
  return page(
    'Enter your code',
    `<p>${escapeHtml(message)}</p>
<form method="post" action="${escapeHtml(action)}">
<label>Code <input name="user_code" autocomplete="off" autofocus></label>
<button>Continue</button></form>`,
  );
}

export interface ConsentFacts {
  readonly action: string;
  readonly clientName: string;
  readonly userName: string;
  readonly scope: readonly string[];
  /** Shown for comparison with the terminal. */
  readonly userCode?: string;
  /** Hidden fields of the form. */
  readonly hidden?: Readonly<Record<string, string>>;
}

/** Approve or deny: field `decision`. */
export function consentPage(facts: ConsentFacts): string {
  const hidden = Object.entries(facts.hidden ?? {}).map(
    ([name, value]) =>
      `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  );
  const code =
    facts.userCode === undefined ? '' : `<p>Code: <b>${escapeHtml(facts.userCode)}</b></p>`;
  return page(
    `Let ${facts.clientName} in?`,
    `<p>${escapeHtml(facts.userName)}, it asks for: ${escapeHtml(facts.scope.join(' '))}</p>${code}
<form method="post" action="${escapeHtml(facts.action)}">${hidden.join('')}
<label><input type="checkbox" name="remember" value="yes"> do not ask again</label>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button></form>`,
  );
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
