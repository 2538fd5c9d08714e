// The ways to ask: hands-free, push to talk, typed, a recording. Each ends in the same dialogue.

import { Microphone } from "./microphone.js";
import { peak } from "./pcm.js";
import { inPieces, readRecording } from "./recording.js";

const LATCH_MS = 300;

export class Asking {
  // hooks: changed(), problem(error or null), level(peak), key() resolves to whether one was given
  constructor(session, hooks) {
    Object.assign(this, { session, hooks, microphone: null });
    this.handsFree = true;
    this.listening = false;
    this.held = null;       // the press of push to talk, with its place on the tape once it records
  }

  get recording() {
    return this.listening || this.held?.from_ms !== undefined;
  }

  // Does what somebody asked for and tells them what goes wrong. A server that wants a key is
  // asked again with one.
  async attempt(action) {
    this.hooks.problem(null);
    try {
      await action();
    } catch (error) {
      if (error.needsKey && (await this.hooks.key())) return this.attempt(action);
      this.held = null;
      this.stopListening();
      this.hooks.problem(error);
    }
    return this.hooks.changed();
  }

  heard(samples) {
    if (!this.recording) return;
    this.hooks.level(peak(samples));
    this.session.dialogue?.hear(samples);
  }

  async openMicrophone() {
    this.microphone ??= await Microphone.open(this.session.sound.context, {
      samples: (samples) => this.heard(samples),
      gone: () => this.attempt(() => { throw new DOMException("unplugged", "NotFoundError"); }),
    });
  }

  // ---- hands-free

  startListening() {
    return this.attempt(async () => {
      this.listening = true;
      this.hooks.changed();
      await this.session.ready();
      await this.openMicrophone();
      this.microphone.mute(false);
    });
  }

  stopListening() {
    if (this.listening) this.session.dialogue?.forget();
    this.listening = false;
    this.microphone?.close();
    this.microphone = null;
    this.session.configure();
    this.hooks.changed();
  }

  // The connection is gone. Hands-free goes on; anything else connects with the next question.
  lost() {
    this.held = null;
    if (!this.listening) return this.stopListening();
    return this.attempt(() => this.session.again(() => this.listening));
  }

  // ---- push to talk

  hold() {
    return this.attempt(async () => {
      const mine = this.held = {};
      this.hooks.changed();
      const dialogue = await this.session.ready();
      await dialogue.interrupt();
      await this.openMicrophone();
      if (this.held !== mine) return;
      this.microphone.mute(false);
      dialogue.forget();
      mine.from_ms = dialogue.tape.ms;
    });
  }

  letGo() {
    const { from_ms } = this.held;
    this.held = null;
    this.microphone?.mute(true);
    if (from_ms === undefined) this.hooks.problem(new Error("The microphone was not open yet: hold again and speak."));
    else this.session.dialogue?.commit(from_ms);
    this.hooks.changed();
  }

  press() {
    this.pressed_ms = performance.now();
    if (this.handsFree) return this.listening ? this.stopListening() : this.startListening();
    return this.held ? this.letGo() : this.hold();
  }

  // A short press stays on until the next one, for hands that cannot hold.
  release() {
    if (this.held && performance.now() - this.pressed_ms > LATCH_MS) this.letGo();
  }

  choose(handsFree) {
    this.handsFree = handsFree;
    this.held = null;
    this.stopListening();
  }

  // ---- without a microphone

  type(text, sent) {
    return this.attempt(async () => {
      const dialogue = await this.session.ready();
      await dialogue.interrupt();
      sent();
      await dialogue.say(text);
    });
  }

  play(file) {
    return this.attempt(async () => {
      this.stopListening();
      const dialogue = await this.session.ready();
      const samples = await readRecording(file, dialogue.tape.rate);
      await dialogue.interrupt();
      dialogue.forget();
      const from_ms = dialogue.tape.ms;
      for (const piece of inPieces(samples, dialogue.tape.rate)) {
        dialogue.hear(piece);
        await this.session.link.room();
      }
      dialogue.commit(from_ms);
    });
  }
}
