/** Throughput of the last minutes: two lines over time, drawn as SVG. */
import { byId, element, make, makeSvg, setAttribute, setText, sync } from './elements.js';
import { formatBytes } from './words.js';

/** @typedef {import('../dist/daemon/ui/throughput.js').Sample} Sample */

/** What is remembered, and shown: five minutes. */
const SPAN_MS = 300_000;
/** Room of the drawing, in its own units; it is scaled to what there is. */
const HEIGHT = 176;
const LEFT = 74;
const BOTTOM = 20;
const TOP = 8;
const NARROW = 480;

/** Which rates of a sample are shown, and what they are called. */
const sides = {
  store: [
    { at: 0, name: 'from the store', kind: 'in' },
    { at: 1, name: 'to the store', kind: 'out' },
  ],
  programs: [
    { at: 2, name: 'read by programs', kind: 'in' },
    { at: 3, name: 'written by programs', kind: 'out' },
  ],
};

/** @typedef {typeof sides.store[number]} Line */

export class Chart {
  /** @type {Sample[]} */
  #samples = [];
  #box = element('chart');
  #select = byId('chart-mount', HTMLSelectElement);
  #svg = makeSvg('svg', { class: 'chart', role: 'img' });
  #legend = make('p', { class: 'legend' });
  #drawing = makeSvg('g', {});

  constructor() {
    this.#svg.append(this.#drawing);
    this.#box.append(this.#svg, this.#legend);
    this.#select.addEventListener('change', () => this.draw());
    for (const radio of document.querySelectorAll('input[name=side]')) {
      radio.addEventListener('change', () => this.draw());
    }
    addEventListener('resize', () => this.draw());
  }

  /** Begins anew: with the first news of a connection all that is remembered comes again. */
  clear() {
    this.#samples = [];
  }

  /**
   * @param {readonly Sample[]} samples
   * @param {readonly string[]} mountPoints that may be chosen
   */
  add(samples, mountPoints) {
    this.#samples.push(...samples);
    const newest = this.#samples.at(-1)?.atMs ?? 0;
    this.#samples = this.#samples.filter(({ atMs }) => newest - atMs <= SPAN_MS);
    this.#offer(mountPoints);
    this.draw();
  }

  draw() {
    const lines = this.#side === 'programs' ? sides.programs : sides.store;
    const width = Math.max(this.#box.clientWidth, 240);
    const end = this.#samples.at(-1)?.atMs ?? Date.now();
    const series = lines.map((line) => ({ line, points: this.#pointsOf(line.at) }));
    const most = Math.max(...series.flatMap(({ points }) => points.map(([, rate]) => rate)), 1024);
    const top = niceTop(most);
    const x = (/** @type {number} */ atMs) =>
      LEFT + ((atMs - (end - SPAN_MS)) / SPAN_MS) * (width - LEFT - 6);
    const y = (/** @type {number} */ rate) =>
      HEIGHT - BOTTOM - (rate / top) * (HEIGHT - BOTTOM - TOP);
    setAttribute(this.#svg, 'viewBox', `0 0 ${width} ${HEIGHT}`);
    setAttribute(this.#svg, 'aria-label', describe(series));
    this.#drawing.replaceChildren(
      ...grid(top, width, y),
      ...timeMarks(width),
      ...series.flatMap(({ line, points }) => drawLine(line, points, x, y)),
    );
    this.#tell(series);
  }

  /** @returns {string | undefined} */
  get #side() {
    const checked = document.querySelector('input[name=side]:checked');
    return checked instanceof HTMLInputElement ? checked.value : undefined;
  }

  /**
   * @param {number} at
   * @returns {(readonly [number, number])[]} time and rate
   */
  #pointsOf(at) {
    const mountPoint = this.#select.value;
    return this.#samples.map(({ atMs, mounts }) => {
      const chosen = mountPoint === '' ? Object.values(mounts) : [mounts[mountPoint]];
      return [atMs, chosen.reduce((sum, rates) => sum + (rates?.[at] ?? 0), 0)];
    });
  }

  /** @param {readonly string[]} mountPoints */
  #offer(mountPoints) {
    const chosen = this.#select.value;
    const all = ['', ...mountPoints];
    sync(
      this.#select,
      all,
      (mountPoint) => `=${mountPoint}`,
      (mountPoint) => ({
        node: make('option', { value: mountPoint }, mountPoint === '' ? 'all mounts' : mountPoint),
        update: () => undefined,
      }),
    );
    if (!all.includes(chosen)) this.#select.value = '';
  }

  /** @param {readonly { line: Line, points: readonly (readonly [number, number])[] }[]} series */
  #tell(series) {
    sync(
      this.#legend,
      series,
      ({ line }) => line.name,
      ({ line }) => {
        const sign = makeSvg('svg', { viewBox: '0 0 26 10', class: 'sign', 'aria-hidden': 'true' });
        sign.append(makeSvg('path', { d: 'M0 5h26', class: line.kind }));
        const now = make('strong', {});
        const most = make('span', { class: 'quiet' });
        const node = make('span', {}, sign, `${line.name} `, now, ' ', most);
        return {
          node,
          update: ({ points }) => {
            setText(now, `${formatBytes(points.at(-1)?.[1] ?? 0)}/s`);
            setText(most, `(most ${formatBytes(mostOf(points))}/s)`);
          },
        };
      },
    );
  }
}

/** @param {readonly (readonly [number, number])[]} points */
function mostOf(points) {
  return points.reduce((most, [, rate]) => Math.max(most, rate), 0);
}

/** @param {readonly { line: Line, points: readonly (readonly [number, number])[] }[]} series */
function describe(series) {
  const told = series.map(({ line, points }) => {
    const now = formatBytes(points.at(-1)?.[1] ?? 0);
    return `${line.name} now ${now} a second, at most ${formatBytes(mostOf(points))}`;
  });
  return `Throughput of the last five minutes: ${told.join('; ')}`;
}

/**
 * The end of the scale: 1, 2 or 5 times a power of ten, in the unit that is shown.
 *
 * @param {number} most
 */
export function niceTop(most) {
  let unit = 1;
  while (most / unit >= 1024) unit *= 1024;
  const value = most / unit;
  const step = 10 ** Math.floor(Math.log10(value));
  const nice = [1, 2, 5, 10].find((times) => times * step >= value) ?? 10;
  return nice * step * unit;
}

/**
 * @param {number} top
 * @param {number} width
 * @param {(rate: number) => number} y
 */
function grid(top, width, y) {
  return [0, 0.5, 1].flatMap((share) => {
    const at = Math.round(y(top * share)) + 0.5;
    const label = makeSvg('text', { x: LEFT - 8, y: at + 4, 'text-anchor': 'end' });
    label.textContent = share === 0 ? '0' : `${formatBytes(top * share).replace('.0 ', ' ')}/s`;
    return [makeSvg('path', { class: 'grid', d: `M${LEFT} ${at}H${width - 6}` }), label];
  });
}

/** @param {number} width */
function timeMarks(width) {
  // Where there is room for it, each minute.
  const marks = width < NARROW ? [4, 2, 0] : [5, 4, 3, 2, 1, 0];
  return marks.map((minutes) => {
    const at = LEFT + ((5 - minutes) / 5) * (width - LEFT - 6);
    const anchor = minutes === 0 ? 'end' : minutes === 5 ? 'start' : 'middle';
    const label = makeSvg('text', { x: at, y: HEIGHT - 4, 'text-anchor': anchor });
    label.textContent = minutes === 0 ? 'now' : `−${minutes} min`;
    return label;
  });
}

/**
 * @param {Line} line
 * @param {readonly (readonly [number, number])[]} points
 * @param {(atMs: number) => number} x
 * @param {(rate: number) => number} y
 */
function drawLine({ kind }, points, x, y) {
  const shown = points.filter(([atMs]) => x(atMs) >= LEFT);
  const [first] = shown;
  const last = shown.at(-1);
  if (first === undefined || last === undefined) return [];
  const path = shown.map(([atMs, rate]) => `${x(atMs).toFixed(1)} ${y(rate).toFixed(1)}`).join('L');
  const ground = y(0).toFixed(1);
  const area = `M${x(first[0]).toFixed(1)} ${ground}L${path}L${x(last[0]).toFixed(1)} ${ground}Z`;
  return [
    makeSvg('path', { class: `${kind}-area`, d: area }),
    makeSvg('path', { class: kind, d: `M${path}` }),
  ];
}
