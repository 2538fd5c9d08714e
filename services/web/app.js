// The page: one question at a time, by microphone, file or keyboard; the answer plays as it comes.

import { ask, describeModel } from "./api.js";
import { Recorder } from "./recorder.js";
import { Player, draw, fromPcm16, joined, toBase64, wavFile } from "./sound.js";

const $ = (id) => document.getElementById(id);
const FORMATS = { "audio/flac": "flac", "audio/x-flac": "flac", "audio/mpeg": "mp3" };
const history = [];
let model, recorder, player;

const say = (message, bad = false) => {
  $("status").textContent = message;
  $("status").classList.toggle("bad", bad);
};

const enable = (on) => {
  for (const control of document.querySelectorAll(".ask button, .ask input:not([type=checkbox])")) {
    control.disabled = !on;
  }
};

const addTurn = () => {
  const turn = $("turn").content.cloneNode(true).firstElementChild;
  turn.querySelectorAll("canvas, audio").forEach((part) => { part.hidden = true; });
  $("turns").prepend(turn);
  return turn;
};

const showSound = (article, samples, rate, blob) => {
  const [canvas, audio] = [article.querySelector("canvas"), article.querySelector("audio")];
  canvas.hidden = !samples.length;
  draw(canvas, samples);
  audio.hidden = false;
  audio.src = URL.createObjectURL(blob ?? wavFile(samples, rate));
};

const figures = (usage, timings, firstMs, seconds) => {
  const parts = [`first ${seconds ? "sound" : "word"} after ${Math.round(firstMs)} ms`];
  if (seconds) parts.push(`${seconds.toFixed(1)} s of speech`);
  if (seconds && timings) parts.push(`real-time factor ${(timings.total_s / seconds).toFixed(2)}`);
  if (usage) parts.push(`${usage.prompt_tokens} + ${usage.completion_tokens} rows`);
  return parts.join(" · ");
};

const receive = async (request, answer) => {
  const began = performance.now();
  const got = { pieces: [], text: "", id: null, firstMs: 0, usage: null, timings: null };
  for await (const chunk of ask(request)) {
    const delta = chunk.choices[0]?.delta ?? {};
    if (!got.firstMs && (delta.audio?.data || delta.content)) got.firstMs = performance.now() - began;
    got.id = delta.audio?.id ?? got.id;
    got.usage = chunk.usage ?? got.usage;
    got.timings = chunk.timings ?? got.timings;
    if (delta.content) {
      got.text += delta.content;
      answer.querySelector(".words").textContent = got.text;
    }
    if (delta.audio?.data) {
      got.pieces.push(fromPcm16(delta.audio.data));
      player.add(got.pieces.at(-1));
      const canvas = answer.querySelector("canvas");
      canvas.hidden = false;
      draw(canvas, joined(got.pieces));
    }
  }
  return got;
};

const answerTo = async (content, turn) => {
  const answer = turn.querySelector(".answer");
  const spoken = $("output").value === "audio";
  const question = { role: "user", content };
  const earlier = $("remember").checked ? history : [];
  const request = { model: model.id, messages: [...earlier, question], modalities: ["text"] };
  if (spoken) {
    request.modalities = ["text", "audio"];
    request.audio = { voice: $("voice").value, format: "pcm16" };
  }
  enable(false);
  say("Listening to the question…");
  try {
    await player?.stop();
    player = new Player(model.sample_rate_hz);
    const got = await receive(request, answer);
    const samples = joined(got.pieces);
    if (spoken) showSound(answer, samples, model.sample_rate_hz);
    const seconds = samples.length / model.sample_rate_hz;
    answer.querySelector(".figures").textContent = figures(got.usage, got.timings, got.firstMs, seconds);
    const said = spoken ? { audio: { id: got.id } } : { content: got.text };
    history.push(question, { role: "assistant", ...said });
    say("");
  } catch (error) {
    turn.remove();
    say(error.message, true);
  } finally {
    enable(true);
  }
};

const askSound = async (blob, format, samples, rate) => {
  const turn = addTurn();
  showSound(turn.querySelector(".question"), samples, rate, blob);
  const data = await toBase64(blob);
  await answerTo([{ type: "input_audio", input_audio: { data, format } }], turn);
};

const decoded = async (blob) => {
  const context = new OfflineAudioContext(1, 1, model.sample_rate_hz);
  const buffer = await context.decodeAudioData(await blob.arrayBuffer());
  return { samples: buffer.getChannelData(0), rate: buffer.sampleRate };
};

// Files that the server does not read are decoded here; what nobody can read, the server names.
const askFile = async (file) => {
  const { samples, rate } = await decoded(file).catch(() => ({ samples: new Float32Array(0), rate: 0 }));
  const known = /\.wav$/i.test(file.name) || file.type in FORMATS || !samples.length;
  if (known) return askSound(file, FORMATS[file.type] ?? "wav", samples, rate);
  return askSound(wavFile(samples, rate), "wav", samples, rate);
};

const toggleRecording = async () => {
  const button = $("record");
  if (recorder) {
    const { samples, rate } = await recorder.stop();
    recorder = null;
    button.setAttribute("aria-pressed", "false");
    $("record-label").textContent = "Press and ask";
    $("level").hidden = true;
    return askSound(wavFile(samples, rate), "wav", samples, rate);
  }
  try {
    recorder = await Recorder.start((pieces) => draw($("level"), joined(pieces.slice(-400))));
    button.setAttribute("aria-pressed", "true");
    $("record-label").textContent = "Press when the question is complete";
    $("level").hidden = false;
    say("");
  } catch (error) {
    say(`No microphone: ${error.message}. Choose a recording instead.`, true);
  }
  return undefined;
};

const askTyped = async (event) => {
  event.preventDefault();
  const text = $("question").value.trim();
  if (!text) return;
  const turn = addTurn();
  turn.querySelector(".question .words").textContent = text;
  $("question").value = "";
  await answerTo(text, turn);
};

const begin = async () => {
  try {
    model = await describeModel();
  } catch (error) {
    say(`No model: ${error.message}`, true);
    return;
  }
  $("model").textContent = `${model.id} · version ${model.version} · ${model.digest.slice(0, 12)}`;
  for (const name of model.voices) $("voice").add(new Option(name, name));
  $("record").addEventListener("click", toggleRecording);
  $("file").addEventListener("change", async ({ target }) => {
    if (target.files.length) await askFile(target.files[0]);
    target.value = "";
  });
  $("typed").addEventListener("submit", askTyped);
  enable(true);
};

begin();
