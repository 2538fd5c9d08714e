// The microphone as pieces of samples at the rate of the audio context.

const PIECE_S = 0.04;
const WANTED = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Microphone {
  // hooks: samples(samples), gone() when the device is taken away
  static async open(context, hooks) {
    if (!navigator.mediaDevices) throw new DOMException("no https", "SecurityError");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    await context.audioWorklet.addModule(new URL("worklets/capture.js", import.meta.url));
    return new Microphone(context, stream, hooks);
  }

  constructor(context, stream, { samples, gone }) {
    const length = Math.round(PIECE_S * context.sampleRate);
    this.track = stream.getAudioTracks()[0];
    this.source = context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions: { length },
    });
    this.node.port.onmessage = ({ data }) => { if (this.track.enabled) samples(data); };
    this.track.onended = gone;
    this.source.connect(this.node);
  }

  // A muted microphone stays ready, so that the first syllable after a press is not lost.
  mute(muted) {
    this.track.enabled = !muted;
  }

  close() {
    this.track.stop();
    this.source.disconnect();
    this.node.port.onmessage = null;
  }
}
