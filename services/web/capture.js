// Runs in the audio thread: hands every block of the microphone's first channel to the page.
registerProcessor("capture", class extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) this.port.postMessage(channels[0].slice());
    return true;
  }
});
