// One session: what the user says goes out, what the server tells becomes turns on the page.

import { fromBase64, joined, toBase64 } from "./pcm.js";
import { Tape } from "./tape.js";

export class Dialogue {
  // hooks: turn(turn) to show or update one, changed(), refused(error)
  constructor(session, link, player, hooks) {
    Object.assign(this, { session, link, player, hooks });
    this.tape = new Tape(session.audio.input.format.rate);
    this.spans = new Map();   // item id -> [from, to] on the tape
    this.hearing = false;
    this.answer = null;       // being made, or still playing
    this.asked = null;        // when the user's turn ended, in performance time
    this.spoke = false;       // an answer was heard, which fixes the voice
    this.free = Promise.resolve();
  }

  receive(event) {
    const handler = this.on[event.type];
    if (handler) handler.call(this, event);
  }

  configure(session) {
    this.link.send({ type: "session.update", session: { type: "realtime", ...session } });
  }

  hear(samples) {
    this.tape.add(samples);
    this.link.send({ type: "input_audio_buffer.append", audio: toBase64(samples) });
  }

  forget() {
    this.hearing = false;
    this.link.send({ type: "input_audio_buffer.clear" });
  }

  // The answer is asked for once the turn is accepted, so that a refused turn gets none.
  commit(from_ms) {
    const event_id = this.link.send({ type: "input_audio_buffer.commit" });
    const asked = { at: performance.now(), silence_ms: 0 };
    this.committed = { event_id, span: [from_ms, this.tape.ms], asked };
  }

  say(text) {
    const content = [{ type: "input_text", text }];
    this.link.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    this.asked = { at: performance.now(), silence_ms: 0 };
    return this.respond();
  }

  // One answer at a time: the one before is over first.
  async respond() {
    await this.free;
    this.free = new Promise((resolve) => { this.release = resolve; });
    this.wish = this.link.send({ type: "response.create" });
    this.hooks.changed();
  }

  // Ends the answer under way. Once the server has ended it too, it is told how much was heard.
  async interrupt({ cancel = true } = {}) {
    const { answer } = this;
    if (!answer || answer.stopped) return;
    answer.stopped = true;
    if (cancel && !answer.whole) this.link.send({ type: "response.cancel", response_id: answer.response });
    answer.heard_ms = await this.player.stop();
    if (answer.whole) this.truncate(answer);
    this.show(answer);
    this.settle();
  }

  truncate({ id, pieces, heard_ms }) {
    if (!pieces.length || heard_ms === null) return;
    const place = { item_id: id, content_index: 0, audio_end_ms: heard_ms };
    this.link.send({ type: "conversation.item.truncate", ...place });
  }

  close() {
    this.release?.();
    if (this.answer) this.interrupt({ cancel: false });
  }

  // Told by the player.
  sounding(at) {
    if (!this.answer || this.answer.stopped) return;
    this.answer.first_ms = at - this.answer.asked.at;
    this.answer.sounding = true;
    this.show(this.answer);
    this.hooks.changed();
  }

  gap() {
    if (this.answer) this.answer.gaps += 1;
  }

  settle() {
    if (this.answer?.whole && !this.player.busy) this.answer = null;
    this.hooks.changed();
  }

  show(answer) {
    const rate = this.session.audio.output.format.rate;
    const whole = joined(answer.pieces);
    const heard = answer.heard_ms === null ? whole.length : Math.round((answer.heard_ms * rate) / 1000);
    this.hooks.turn({ ...answer, side: "answer", samples: whole.subarray(0, heard), rate });
  }

  on = {
    "session.updated"({ session }) {
      this.session = session;
    },
    "input_audio_buffer.speech_started"({ item_id, audio_start_ms }) {
      this.hearing = true;
      this.spans.set(item_id, [audio_start_ms]);
      if (this.session.audio.input.turn_detection?.interrupt_response) this.interrupt({ cancel: false });
      this.hooks.changed();
    },
    "input_audio_buffer.speech_stopped"({ item_id, audio_end_ms }) {
      this.hearing = false;
      this.spans.get(item_id)?.push(audio_end_ms);
      const silence_ms = this.session.audio.input.turn_detection?.silence_duration_ms ?? 0;
      this.asked = { at: this.tape.timeOf(audio_end_ms) - silence_ms, silence_ms };
      this.hooks.changed();
    },
    "input_audio_buffer.committed"({ item_id }) {
      const { committed } = this;
      const span = this.spans.get(item_id) ?? committed?.span;
      this.spans.delete(item_id);
      const samples = span && this.tape.cut(...span);
      this.hooks.turn({ id: item_id, side: "question", samples, rate: this.tape.rate });
      if (!committed) return;
      this.committed = null;
      this.asked = committed.asked;
      this.respond();
    },
    "conversation.item.added"({ item }) {
      const text = item.content?.find((part) => part.type === "input_text")?.text;
      if (item.role === "user" && text) this.hooks.turn({ id: item.id, side: "question", text });
    },
    "response.created"({ response }) {
      this.answer = {
        response: response.id, id: null, asked: this.asked ?? { at: performance.now(), silence_ms: 0 },
        pieces: [], text: "", gaps: 0, first_ms: null, heard_ms: null, metadata: response.metadata ?? {},
        sounding: false, stopped: false, whole: false, cut: false,
      };
      if (!this.wish) this.free = new Promise((resolve) => { this.release = resolve; });
      this.hooks.changed();
    },
    "response.output_item.added"({ item }) {
      this.answer.id = item.id;
    },
    "response.output_audio.delta"({ item_id, delta }) {
      const { answer } = this;
      if (answer?.id !== item_id || answer.stopped) return;
      this.spoke = true;
      answer.pieces.push(fromBase64(delta));
      this.player.add(answer.pieces.at(-1));
      this.show(answer);
    },
    "response.output_text.delta"({ item_id, delta }) {
      const { answer } = this;
      if (answer?.id !== item_id || answer.stopped) return;
      answer.first_ms ??= performance.now() - answer.asked.at;
      answer.text += delta;
      this.show(answer);
    },
    "response.done"({ response }) {
      const { answer } = this;
      this.wish = null;
      answer.whole = true;
      if (answer.stopped) this.truncate(answer);
      this.release?.();
      answer.cut = response.status === "incomplete";
      answer.metadata = response.metadata ?? {};
      if (response.status === "failed") this.hooks.refused(response.status_details?.error ?? {});
      if (!answer.stopped) this.player.end();
      if (answer.id && response.status !== "failed") this.show(answer);
      this.settle();
    },
    error({ error }) {
      if (error.event_id && error.event_id === this.wish) {
        this.wish = null;
        this.release();
      }
      if (error.event_id && error.event_id === this.committed?.event_id) this.committed = null;
      this.hooks.refused(error);
      this.hooks.changed();
    },
  };
}
