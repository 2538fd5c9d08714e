// Plays one answer at a time while it arrives, and knows how much of it was heard.

export class Player {
  static async open(context, hooks) {
    await context.audioWorklet.addModule(new URL("worklets/play.js", import.meta.url));
    return new Player(context, hooks);
  }

  // hooks: started(moment in performance time), level(peak, seconds played), gap(), ended()
  constructor(context, hooks) {
    this.context = context;
    this.hooks = hooks;
    this.busy = false;
    this.node = new AudioWorkletNode(context, "play", { numberOfInputs: 0, outputChannelCount: [1] });
    this.node.connect(context.destination);
    this.node.port.onmessage = ({ data }) => this[data.kind](data);
  }

  add(samples) {
    this.busy = true;
    this.node.port.postMessage({ samples });
  }

  end() {
    if (this.busy) this.node.port.postMessage("end");
  }

  // Ends the sound at once; resolves to the milliseconds that were heard.
  async stop() {
    if (!this.busy) return 0;
    const played = await new Promise((resolve) => {
      this.onStopped = resolve;
      this.node.port.postMessage("stop");
    });
    const underWay_s = this.context.outputLatency || 0;
    return Math.max(0, Math.floor(1000 * (played / this.context.sampleRate - underWay_s)));
  }

  started({ at }) {
    const ago_s = this.context.currentTime - at - (this.context.outputLatency || 0);
    this.hooks.started(performance.now() - 1000 * ago_s);
  }

  level({ peak, played }) {
    this.hooks.level(peak, played / this.context.sampleRate);
  }

  gap() {
    this.hooks.gap();
  }

  // What ran out while the wish to stop was on its way has told its end already.
  stopped({ played }) {
    if (this.onStopped) this.settle(played);
  }

  drained({ played }) {
    this.settle(played);
  }

  settle(played) {
    this.busy = false;
    this.onStopped?.(played);
    this.onStopped = null;
    this.hooks.ended();
  }
}
