// A recording that somebody chose, as samples at a wanted rate, and in pieces as a microphone's.

const PIECE_S = 0.04;

export const readRecording = async (file, rate) => {
  const context = new OfflineAudioContext(1, 1, rate);
  const buffer = await context.decodeAudioData(await file.arrayBuffer()).catch(() => {
    throw new Error(`${file.name} is not audio that this browser can read`);
  });
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
  const mean = (_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
  return Float32Array.from({ length: buffer.length }, mean);
};

export function* inPieces(samples, rate) {
  const length = Math.round(PIECE_S * rate);
  for (let at = 0; at < samples.length; at += length) yield samples.subarray(at, at + length);
}
