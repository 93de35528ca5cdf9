/** Dialogs: one that asks before something is undone, and forms whose refusals stay in them. */
import { byId, element, setText } from './elements.js';
import { Refusal } from './server.js';

/**
 * What is asked before it is done.
 *
 * @typedef {{
 *   readonly title: string,
 *   readonly text: string,
 *   readonly yes: string,
 *   readonly tick?: { readonly name: string, readonly text: string },
 * }} Question
 */

/**
 * Asks, and does it when the person says yes; a refusal is told there.
 *
 * @param {Question} question
 * @param {(ticked: boolean) => Promise<{ readonly lines?: readonly string[] }>} work
 * @returns {Promise<readonly string[] | undefined>} what is told of it; undefined: not done.
 */
export async function askFirst({ title, text, yes, tick }, work) {
  const dialog = byId('ask-dialog', HTMLDialogElement);
  const form = byId('ask-form', HTMLFormElement);
  const box = /** @type {HTMLInputElement} */ (form.querySelector('input[type=checkbox]'));
  setText(element('ask-title'), title);
  setText(element('ask-text'), text);
  setText(element('ask-yes'), yes);
  element('ask-tick').hidden = tick === undefined;
  setText(/** @type {HTMLElement} */ (element('ask-tick').querySelector('span')), tick?.text ?? '');
  box.checked = false;
  /** @type {readonly string[] | undefined} */
  let lines;
  const done = new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  const stop = onSubmit(form, async () => {
    lines = (await work(box.checked)).lines ?? [];
    dialog.close();
  });
  dialog.showModal();
  await done;
  stop();
  return lines;
}

/**
 * What a form does when it is sent: its button waits meanwhile, and a refusal is told in it.
 *
 * @param {HTMLFormElement} form
 * @param {() => Promise<void>} work
 * @returns {() => void} takes it back.
 */
export function onSubmit(form, work) {
  const refusal = /** @type {HTMLElement} */ (form.querySelector('.refusal'));
  const press = /** @type {HTMLButtonElement} */ (form.querySelector('.buttons button:last-child'));
  setText(refusal, '');
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setText(refusal, '');
    press.disabled = true;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setText(refusal, error.message);
    } finally {
      press.disabled = false;
    }
  };
  form.addEventListener('submit', submit);
  return () => form.removeEventListener('submit', submit);
}

/** Buttons that only close the dialog they are in. */
export function armClosers() {
  for (const closer of document.querySelectorAll('[data-close]')) {
    closer.addEventListener('click', () => closer.closest('dialog')?.close());
  }
}
