// The microphone as Float32 samples, at whatever rate the device has.

import { joined } from "./sound.js";

export class Recorder {
  static async start(onSamples) {
    const recorder = new Recorder();
    recorder.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    recorder.context = new AudioContext();
    await recorder.context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
    const node = new AudioWorkletNode(recorder.context, "capture", { numberOfOutputs: 0 });
    recorder.pieces = [];
    node.port.onmessage = ({ data }) => {
      recorder.pieces.push(data);
      onSamples(recorder.pieces);
    };
    recorder.context.createMediaStreamSource(recorder.stream).connect(node);
    return recorder;
  }

  async stop() {
    this.stream.getTracks().forEach((track) => track.stop());
    const rate = this.context.sampleRate;
    await this.context.close();
    return { samples: joined(this.pieces), rate };
  }
}
