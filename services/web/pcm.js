// Sound as mono Float32Array: 16-bit samples in base64 on the wire, a WAV file, pieces into one.

const toInt16 = (x) => Math.round(Math.max(-1, Math.min(1, x)) * 32767);

export const toBase64 = (samples) => {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((x, i) => view.setInt16(2 * i, toInt16(x), true));
  return btoa(String.fromCharCode(...new Uint8Array(view.buffer)));
};

export const fromBase64 = (base64) => {
  const view = new DataView(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  const at = (_, i) => view.getInt16(2 * i, true) / 32768;
  return Float32Array.from({ length: view.byteLength / 2 }, at);
};

export const joined = (pieces) => {
  const whole = new Float32Array(pieces.reduce((n, piece) => n + piece.length, 0));
  pieces.reduce((at, piece) => (whole.set(piece, at), at + piece.length), 0);
  return whole;
};

export const peak = (samples) => samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

export const wavFile = (samples, rate) => {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, toInt16(x), true));
  return new Blob([view], { type: "audio/wav" });
};
