// Sound as bars: a whole turn with the part already heard in full colour, or the last seconds live.

const STEP_PX = 4;
const BAR_PX = 2.4;
const LIVE_REFRESH_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 250 : 0;

const pen = (canvas) => {
  const scale = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = getComputedStyle(canvas).color;
  return context;
};

const bar = (context, canvas, i, share) => {
  const tall = Math.max(2, Math.min(1, share) * canvas.clientHeight);
  context.beginPath();
  context.roundRect(i * STEP_PX, (canvas.clientHeight - tall) / 2, BAR_PX, tall, BAR_PX / 2);
  context.fill();
};

const count = (canvas) => Math.max(1, Math.floor(canvas.clientWidth / STEP_PX));

const peaks = (samples, n) => Array.from({ length: n }, (_, i) => {
  let most = 0;
  const to = ((i + 1) * samples.length) / n;
  for (let k = Math.floor((i * samples.length) / n); k < to; k += 1) most = Math.max(most, Math.abs(samples[k]));
  return most;
});

// `heard` is the share, 0 to 1, that is drawn in full colour.
export const drawWhole = (canvas, samples, heard = 1) => {
  const context = pen(canvas);
  const bars = peaks(samples, count(canvas));
  const loudest = Math.max(1e-3, ...bars);
  bars.forEach((most, i) => {
    context.globalAlpha = i < heard * bars.length ? 1 : 0.3;
    bar(context, canvas, i, most / loudest);
  });
};

// A level per piece of sound, newest at the right; speech seldom reaches full scale.
export class Live {
  constructor(canvas) {
    this.canvas = canvas;
    this.levels = [];
    this.drawn = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  add(level) {
    const n = count(this.canvas);
    this.levels = [...this.levels, Math.sqrt(level)].slice(-n);
    if (performance.now() - this.drawn >= LIVE_REFRESH_MS) this.draw();
  }

  clear() {
    this.levels = [];
    this.draw();
  }

  draw() {
    const [context, n] = [pen(this.canvas), count(this.canvas)];
    const idle = n - this.levels.length;
    for (let i = 0; i < n; i += 1) bar(context, this.canvas, i, i < idle ? 0 : this.levels[i - idle]);
    this.drawn = performance.now();
  }
}
