// What was sent in one session, by its place in it: the server names places in milliseconds.

import { joined } from "./pcm.js";

const KEEP_S = 90;

export class Tape {
  constructor(rate) {
    this.rate = rate;
    this.pieces = [];
    this.length = 0;
  }

  add(samples) {
    this.pieces.push({ begin: this.length, samples, at: performance.now() });
    this.length += samples.length;
    const oldest = this.length - KEEP_S * this.rate;
    while (this.pieces[0].begin + this.pieces[0].samples.length < oldest) this.pieces.shift();
  }

  get ms() {
    return (1000 * this.length) / this.rate;
  }

  cut(from_ms, to_ms) {
    const [from, to] = [from_ms, to_ms].map((ms) => Math.round((ms * this.rate) / 1000));
    return joined(this.pieces.map(({ begin, samples }) =>
      samples.subarray(Math.max(0, from - begin), Math.max(0, to - begin))));
  }

  // When, in performance time, the sample at a place was recorded.
  timeOf(ms) {
    const place = (ms * this.rate) / 1000;
    const piece = this.pieces.find(({ begin, samples }) => place <= begin + samples.length);
    const { begin, samples, at } = piece ?? this.pieces.at(-1);
    return at - (1000 * (begin + samples.length - place)) / this.rate;
  }
}
