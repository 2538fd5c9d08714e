// The turns on the page: words, a waveform, replay, what was measured.

import { wavFile } from "./pcm.js";
import { drawWhole } from "./waveform.js";

const NEAR_END_PX = 120;
const seconds = (s) => `${s.toFixed(1)}\u00a0s`;
const WHO = { question: "You", answer: "Answer" };
const WHOSE = { question: "what you said", answer: "the answer" };

const latency = ({ first_ms, asked: { silence_ms }, sounding }) => {
  const [what, whole] = [sounding ? "sound" : "word", Math.round(first_ms)];
  if (!silence_ms) return `first ${what} after ${whole} ms`;
  return `first ${what} ${whole} ms after you stopped (${silence_ms} pause + ${whole - silence_ms})`;
};

const figures = (turn) => {
  if (turn.side === "question") return [];
  const { first_ms, heard_ms, cut, gaps, metadata, samples, text } = turn;
  return [
    first_ms !== null && latency(turn),
    heard_ms !== null && (text ? "stopped" : `interrupted after ${seconds(heard_ms / 1000)}`),
    cut && "the longest answer that is made",
    gaps > 0 && `${gaps} ${gaps === 1 ? "gap" : "gaps"}`,
    samples.length > 0 && "synthetic speech",
    metadata["moss.version"] && `version ${metadata["moss.version"]}`,
  ].filter(Boolean);
};

class Card {
  constructor(template, side) {
    this.element = template.content.cloneNode(true).firstElementChild;
    this.element.classList.add(side);
    const part = (name) => this.element.querySelector(`.${name}`);
    [this.canvas, this.button, this.audio] = [part("wave"), part("replay"), part("sound")];
    [this.words, this.length, this.notes, this.save] = ["words", "length", "figures", "save"].map(part);
    part("who").textContent = WHO[side];
    this.canvas.setAttribute("aria-label", `Waveform of ${WHOSE[side]}`);
    this.save.download = `${side}.wav`;
    this.button.addEventListener("click", () => (this.audio.paused ? this.audio.play() : this.audio.pause()));
    for (const moment of ["play", "pause", "ended", "timeupdate"]) {
      this.audio.addEventListener(moment, () => this.draw());
    }
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  update(turn) {
    this.turn = turn;
    this.element.classList.toggle("voiced", Boolean(turn.samples?.length));
    this.words.textContent = turn.text ?? "";
    this.notes.replaceChildren(...figures(turn).map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    const finished = turn.side === "question" || turn.whole;
    if (turn.samples?.length) this.voice(turn, finished);
  }

  voice({ samples, rate }, finished) {
    this.length.textContent = seconds(samples.length / rate);
    this.button.disabled = this.save.hidden = !finished;
    if (finished) {
      URL.revokeObjectURL(this.audio.src);
      this.audio.src = this.save.href = URL.createObjectURL(wavFile(samples, rate));
    }
    this.draw();
  }

  draw() {
    const { samples } = this.turn ?? {};
    if (!samples?.length || !this.canvas.clientWidth) return;
    const { paused, currentTime, duration } = this.audio;
    const whole = paused || !duration;
    this.button.classList.toggle("playing", !paused);
    this.button.setAttribute("aria-label", `${paused ? "Play" : "Pause"} ${WHOSE[this.turn.side]}`);
    drawWhole(this.canvas, samples, whole ? 1 : currentTime / duration);
  }
}

export class Turns {
  constructor(list, template) {
    Object.assign(this, { list, template, cards: new Map() });
  }

  show(turn) {
    const follow = window.innerHeight + window.scrollY > document.body.scrollHeight - NEAR_END_PX;
    let card = this.cards.get(turn.id);
    if (!card) {
      card = new Card(this.template, turn.side);
      this.cards.set(turn.id, card);
      this.append(card.element);
    }
    card.update(turn);
    if (follow) window.scrollTo(0, document.body.scrollHeight);
  }

  // A line between what the model remembers and what it does not.
  divide(text) {
    if (!this.cards.size || this.list.lastElementChild.className === "divider") return;
    const line = document.createElement("li");
    line.className = "divider";
    line.textContent = text;
    this.append(line);
  }

  append(element) {
    this.list.append(element);
    window.scrollTo(0, document.body.scrollHeight);
  }
}
