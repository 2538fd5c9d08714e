// Sound as mono Float32Array: bytes in and out, a WAV file, a drawing, playing while it arrives.

export const toBase64 = async (blob) => {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
  return url.slice(url.indexOf(",") + 1);
};

export const fromPcm16 = (base64) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true) / 32768);
};

export const joined = (pieces) => {
  const whole = new Float32Array(pieces.reduce((n, piece) => n + piece.length, 0));
  pieces.reduce((at, piece) => (whole.set(piece, at), at + piece.length), 0);
  return whole;
};

export const wavFile = (samples, rate) => {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, x)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
};

// One bar every four pixels, as high as the loudest sample below it; the loudest fills the height.
export const draw = (canvas, samples) => {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(canvas).color;
  const bars = Math.max(1, Math.floor(canvas.clientWidth / 4));
  const loudest = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
  for (let bar = 0; bar < bars; bar += 1) {
    const from = Math.floor((bar * samples.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * samples.length) / bars));
    let peak = 0;
    for (let i = from; i < to && i < samples.length; i += 1) peak = Math.max(peak, Math.abs(samples[i]));
    const tall = Math.max(2 * scale, (peak / loudest) * height);
    pen.fillRect((bar * width) / bars, (height - tall) / 2, 2.4 * scale, tall);
  }
};

// Plays pieces end to end, the first as soon as it is there.
export class Player {
  constructor(rate) {
    this.context = new AudioContext({ sampleRate: rate });
    this.end = 0;
  }

  add(samples) {
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, this.context.sampleRate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    this.end = Math.max(this.end, this.context.currentTime + 0.03);
    source.start(this.end);
    this.end += buffer.duration;
  }

  stop() {
    return this.context.close();
  }
}
