// Runs in the audio thread: plays what is queued, keeps a small reserve, counts what was heard.
//
// In: {samples}, "end" (no more will come), "stop". Out: {kind, ...} of started, level, gap,
// stopped and drained; `played` is in samples.

const FIRST_RESERVE_S = 0.1;
const MOST_RESERVE_S = 0.48;
const LEVEL_S = 0.04;

registerProcessor("play", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.reserve = FIRST_RESERVE_S * sampleRate;
    this.clear();
    this.port.onmessage = ({ data }) => {
      if (data === "end") this.ended = true;
      else if (data === "stop") this.stop();
      else this.add(data.samples);
    };
  }

  clear() {
    Object.assign(this, { queue: [], queued: 0, offset: 0, played: 0, playing: false, ended: false });
    Object.assign(this, { peak: 0, measured: 0 });
  }

  add(samples) {
    this.queue.push(samples);
    this.queued += samples.length;
  }

  // The last block fades out, because a cut in the middle of a wave clicks.
  stop() {
    this.port.postMessage({ kind: "stopped", played: this.played });
    this.fade = this.playing ? new Float32Array(128) : null;
    if (this.fade) this.take(this.fade);
    this.clear();
  }

  take(block) {
    let n = 0;
    while (n < block.length && this.queue.length) {
      const piece = this.queue[0].subarray(this.offset, this.offset + block.length - n);
      block.set(piece, n);
      n += piece.length;
      this.offset += piece.length;
      if (this.offset === this.queue[0].length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
    this.queued -= n;
    return n;
  }

  process(_, [[out]]) {
    if (this.fade) {
      this.fade.forEach((x, i) => { out[i] = x * (1 - i / this.fade.length); });
      this.fade = null;
    } else if (this.playing) this.play(out);
    else if (this.queued && (this.ended || this.queued >= this.reserve)) this.start(out);
    else if (this.ended) this.finish();
    return true;
  }

  start(out) {
    this.playing = true;
    if (!this.played) this.port.postMessage({ kind: "started", at: currentTime });
    this.play(out);
  }

  play(out) {
    const n = this.take(out);
    this.played += n;
    this.measure(out);
    if (n === out.length) return;
    this.playing = false;
    if (this.ended) return this.finish();
    this.reserve = Math.min(2 * this.reserve, MOST_RESERVE_S * sampleRate);
    this.port.postMessage({ kind: "gap" });
  }

  finish() {
    this.port.postMessage({ kind: "drained", played: this.played });
    this.clear();
  }

  measure(out) {
    for (const x of out) this.peak = Math.max(this.peak, Math.abs(x));
    this.measured += out.length;
    if (this.measured < LEVEL_S * sampleRate) return;
    this.port.postMessage({ kind: "level", peak: this.peak, played: this.played });
    this.peak = this.measured = 0;
  }
});
