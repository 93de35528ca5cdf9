/** The verification address as a QR code, two modules a character. */
import { renderUnicodeCompact } from 'uqr';

/**
 * Lines of the code for `text`, or none when it needs more than `columns` by `rows`.
 *
 * The light modules are the printed ones. With colour they are white on black whatever the
 * terminal's theme; without it a light theme shows the code inverted, which most readers take.
 */
export function qrLines(
  text: string,
  columns: number,
  rows: number,
  coloured: boolean,
): readonly string[] {
  const lines = renderUnicodeCompact(text, { ecc: 'L', border: 2 }).split('\n');
  if (lines.length > rows || lines.some((line) => line.length > columns)) return [];
  return coloured ? lines.map((line) => `\x1b[97;40m${line}\x1b[0m`) : lines;
}
