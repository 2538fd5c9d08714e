// Keeps one conversation open: connected when it is needed, again when the connection breaks.

import { Dialogue } from "./dialogue.js";
import { Link } from "./link.js";
import { Player } from "./player.js";

const RETRY_S = [1, 2, 4, 8, 15];

const pause = (s) => new Promise((resolve) => { setTimeout(resolve, 1000 * s); });

export class Session {
  // hooks: connection(state, label), wanted() gives the settings, store(), opened(session), ended(why),
  // lost(), level(peak), silent(), and those of Dialogue
  constructor(hooks) {
    this.hooks = hooks;
    this.dialogue = this.sound = this.starting = null;
    this.link = new Link({
      store: hooks.store,
      event: (event) => this.dialogue?.receive(event),
      lost: () => {
        this.forget("The connection ended. The model remembers nothing from above.");
        hooks.lost();
      },
    });
  }

  // Resolves to the dialogue, with the settings of this moment.
  async ready() {
    this.starting ??= this.start().finally(() => { this.starting = null; });
    await this.starting;
    this.configure();
    return this.dialogue;
  }

  async start() {
    const { hooks } = this;
    if (!this.dialogue) hooks.connection("connecting", "connecting");
    try {
      const session = await this.link.open();
      this.sound ??= await this.openSound(session.audio.output.format.rate);
      if (!this.dialogue) {
        this.dialogue = new Dialogue(session, this.link, this.sound.player, hooks);
        this.configured = "";
        hooks.opened(session);
      }
      await this.sound.context.resume();
    } catch (error) {
      hooks.connection("closed", "not connected");
      throw error;
    }
    hooks.connection("open", "connected");
  }

  async openSound(sampleRate) {
    const context = new AudioContext({ sampleRate });
    const player = await Player.open(context, {
      started: (at) => this.dialogue?.sounding(at),
      level: this.hooks.level,
      gap: () => this.dialogue?.gap(),
      ended: () => {
        this.hooks.silent();
        this.dialogue?.settle();
      },
    });
    return { context, player };
  }

  configure() {
    const wanted = JSON.stringify(this.hooks.wanted());
    if (!this.dialogue || wanted === this.configured) return;
    this.configured = wanted;
    this.dialogue.configure(this.hooks.wanted());
  }

  end(why) {
    this.link.close();
    this.forget(why);
  }

  forget(why) {
    this.dialogue?.close();
    this.dialogue = null;
    this.hooks.connection("ready", "ready");
    this.hooks.ended(why);
  }

  // After a break: tries while `still()` somebody waits for it; throws what cannot be waited for.
  async again(still) {
    let told_s = 0;
    for (const [i, usual_s] of RETRY_S.entries()) {
      for (let left_s = Math.max(usual_s, told_s); left_s > 0 && still(); left_s -= 1) {
        this.hooks.connection("waiting", `again in ${left_s} s`);
        await pause(1);
      }
      if (!still()) return this.hooks.connection("ready", "ready");
      try {
        return await this.ready();
      } catch (error) {
        if (!error.passes || i === RETRY_S.length - 1) throw error;
        told_s = error.retry_s ?? 0;
      }
    }
    return undefined;
  }
}
