// The page: its controls on one side, asking and the session on the other.

import { showModel } from "./about.js";
import { describeModel } from "./api.js";
import { Asking } from "./asking.js";
import { askKey } from "./key-dialog.js";
import { inWords } from "./problems.js";
import { Session } from "./session.js";
import { showStatus } from "./status.js";
import { onTalk } from "./talk-button.js";
import { Turns } from "./turns.js";
import { Live } from "./waveform.js";

const $ = (id) => document.getElementById(id);
const turns = new Turns($("turns"), $("turn"));
const [liveYou, liveModel] = [new Live($("live-you")), new Live($("live-model"))];

const render = () => {
  const parts = { talk: $("talk"), talkLabel: $("talk-label"), stop: $("stop"), status: $("status") };
  showStatus(asking, session.dialogue, parts);
  if (!asking.recording) liveYou.clear();
};

const connection = (state, label) => {
  $("connection").dataset.state = state;
  $("connection-label").textContent = label;
};

const problem = (error) => { $("problem").textContent = error ? inWords(error) : ""; };

const offerVoices = (names) => {
  const chosen = $("voice").value;
  $("voice").replaceChildren(...names.map((name) => new Option(name)));
  if (names.includes(chosen)) $("voice").value = chosen;
};

const wanted = () => ({
  output_modalities: [$("output").value],
  audio: {
    input: { turn_detection: asking.listening ? { type: "server_vad" } : null },
    output: { voice: $("voice").value },
  },
});

const session = new Session({
  connection,
  wanted,
  store: () => $("store").checked,
  opened: ({ model, audio }) => {
    $("model-name").textContent ||= model;
    if (!$("voice").length) offerVoices([audio.output.voice]);
    describe().catch(problem);
  },
  ended: (why) => turns.divide(why),
  lost: () => asking.lost(),
  level: (level) => liveModel.add(level),
  silent: () => liveModel.clear(),
  turn: (turn) => turns.show(turn),
  changed: render,
  refused: problem,
});

// Asked again with every conversation, because the server may have another model by then.
const describe = async () => {
  try {
    const model = await describeModel();
    showModel($("model-name"), $("model-facts"), model);
    offerVoices(model.voices);
    $("store-choice").hidden = !model.records;
  } catch (error) {
    const maySpeakOnly = error.status === 403;    // a client secret opens conversations, no lists
    if (!maySpeakOnly) throw error;
  }
};

const begin = async () => {
  connection("connecting", "connecting");
  try {
    await describe();
    connection("ready", "ready");
  } catch (error) {
    connection("closed", "not connected");
    throw error;
  }
};

const key = () => askKey($("key"));

const asking = new Asking(session, {
  changed: render, problem, key, level: (level) => liveYou.add(level),
});

// The protocol fixes the voice of a session with its first sound: another voice, another session.
const startAfresh = () => {
  const again = asking.listening;
  session.end("New conversation");
  asking.stopListening();
  if (again) asking.startListening();
};

const stopAnswer = () => session.dialogue?.interrupt();

onTalk($("talk"), { press: () => asking.press(), release: () => asking.release() });
$("stop").addEventListener("click", stopAnswer);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stopAnswer(); });
$("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("question").value.trim();
  if (text) asking.type(text, () => { $("question").value = ""; });
});
$("file").addEventListener("change", ({ target }) => {
  if (target.files.length) asking.play(target.files[0]).finally(() => { target.value = ""; });
});
$("hands-free").addEventListener("change", () => asking.choose(true));
$("hold").addEventListener("change", () => asking.choose(false));
$("output").addEventListener("change", () => session.configure());
$("voice").addEventListener("change", () => (session.dialogue?.spoke ? startAfresh() : session.configure()));
$("store").addEventListener("change", () => session.dialogue && startAfresh());
$("fresh").addEventListener("click", startAfresh);

asking.choose($("hands-free").checked);
asking.attempt(begin);
