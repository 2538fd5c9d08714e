// Runs in the audio thread: hands the microphone's samples to the page in pieces of equal length.

registerProcessor("capture", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.piece = new Float32Array(processorOptions.length);
    this.filled = 0;
  }

  process([[channel]]) {
    for (const x of channel ?? []) {
      this.piece[this.filled] = x;
      this.filled += 1;
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece.slice());
        this.filled = 0;
      }
    }
    return true;
  }
});
