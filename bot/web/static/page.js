/** The page: puts one `Call` at a time behind the button, and what the bot tells about it on the screen. */

import { Awake } from "./awake.js";
import { Call } from "./call.js";
import { Meter } from "./meter.js";
import { language, text, useLanguage } from "./texts.js";
import { Transcript, legend } from "./transcript.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const LETTERS = { 2: "ABC", 3: "DEF", 4: "GHI", 5: "JKL", 6: "MNO", 7: "PQRS", 8: "TUV", 9: "WXYZ", 0: "+" };
const CAUSES = {
  caller_hung_up: "causeCallerHungUp",
  bot_hung_up: "causeBotHungUp",
  transferred: "causeTransferred",
  media_timeout: "causeMediaTimeout",
  failed: "causeFailed",
  no_ack: "causeFailed",
  rejected: "causeRejected",
  cancelled: "causeCallerHungUp",
};
const ABOUT = {
  flow: "aboutFlow",
  recogniser: "aboutRecogniser",
  understanding: "aboutUnderstanding",
  voice: "aboutVoice",
  sip_uri: "aboutSip",
};

const ASKING_AFTER_MS = 700; // a microphone that was allowed before opens sooner
const PRESS_GAP_MS = 300; // what follows a press so soon belongs to it: a double click or tap

const $ = (id) => document.getElementById(id);
const transcript = new Transcript($("transcript"), $("log"));
const awake = new Awake();
const meter = new Meter((level) => document.body.style.setProperty("--level", level.toFixed(3)));

const view = {
  state: "idle", // idle, connecting, listening, speaking, ended
  asking: false, // the browser asks for the microphone
  unstable: false,
  wasUp: false, // this call has been connected
  muted: false,
  error: null, // {key, ...values}
  cause: null, // a key of CAUSES
  flowState: "",
  slots: new Map(),
  about: {},
  startedAt: 0,
};
let call = null;
let askingTimer = 0;
let pressedAt = -Infinity;

const inCall = () => view.state === "listening" || view.state === "speaking";

// --- the call ------------------------------------------------------------------------------------------------------

function startCall() {
  Object.assign(view, { error: null, cause: null, unstable: false, wasUp: false, muted: false });
  Object.assign(view, { flowState: "", slots: new Map() });
  transcript.clear();
  call = new Call();
  call.addEventListener("state", ({ detail }) => onState(detail));
  call.addEventListener("failed", ({ detail }) => show({ error: detail }));
  call.addEventListener("message", ({ detail }) => onMessage(detail));
  call.addEventListener("microphone", ({ detail }) => {
    stopAsking();
    meter.listen("caller", detail);
  });
  call.addEventListener("audio", ({ detail }) => {
    $("speaker").srcObject = detail;
    meter.listen("bot", detail);
  });
  askingTimer = setTimeout(() => show({ asking: true }), ASKING_AFTER_MS);
  call.start();
}

function stopAsking() {
  clearTimeout(askingTimer);
  if (view.asking) show({ asking: false });
}

function hangUp() {
  view.cause ??= inCall() ? "caller_hung_up" : null;
  call.hangUp();
}

function onState(state) {
  if (state === "connecting") show({ state });
  if (state === "unstable") show({ unstable: true });
  if (state === "active") {
    awake.hold();
    const state = inCall() ? view.state : "listening";
    show({ state, unstable: false, wasUp: true, startedAt: view.startedAt || Date.now() });
  }
  if (state === "ended") {
    meter.stop();
    awake.release();
    stopAsking();
    $("speaker").srcObject = null;
    call = null;
    show({ state: "ended", unstable: false, startedAt: 0 });
  }
}

const MESSAGES = {
  "turn.caller": ({ turn_id, text: words }) => transcript.say("caller", turn_id, words),
  "turn.bot": ({ turn_id, text: words }) => transcript.say("bot", turn_id, words),
  "turn.bot.heard": ({ turn_id, heard_s, duration_s }) => transcript.cut(turn_id, heard_s / (duration_s || 1)),
  "turn.latency": ({ turn_id, total_ms, stages }) => transcript.time(turn_id, total_ms, stages),
  "flow.state": ({ state }) => show({ flowState: state }),
  "flow.slot": ({ name, value }) => view.slots.set(name, value),
  "caller.speaking": ({ on }) => on && inCall() && show({ state: "listening" }),
  "bot.speaking": ({ on }) => inCall() && show({ state: on ? "speaking" : "listening" }),
  "call.ended": ({ cause }) => show({ cause }),
};

function onMessage(message) {
  MESSAGES[message.type]?.(message);
  draw();
}

function press(key) {
  if (!inCall()) return;
  call.press(key);
  const button = document.querySelector(`[data-key="${key}"]`);
  button.classList.add("pressed");
  setTimeout(() => button.classList.remove("pressed"), 150);
}

// --- the screen ----------------------------------------------------------------------------------------------------

function show(change) {
  Object.assign(view, change);
  draw();
}

function draw() {
  document.body.dataset.state = view.state;
  document.body.classList.toggle("unstable", view.unstable);
  const talk = { idle: "talkIdle", connecting: "talkConnecting", ended: "talkEnded" }[view.state] ?? "talkActive";
  set($("talk-label"), text(talk));
  drawStatus();
  set($("error"), view.error ? text(view.error.key, view.error) : "");
  $("error").hidden = !view.error;
  $("mute").setAttribute("aria-pressed", String(view.muted));
  for (const button of [$("mute"), ...document.querySelectorAll("[data-key]")]) enable(button, inCall());
  drawProgress();
  $("empty").hidden = !transcript.isEmpty;
  $("log").hidden = transcript.isEmpty;
  const median = transcript.medianMs;
  $("legend").hidden = $("latency-summary").hidden = median === null;
  if (median !== null) set($("latency-summary"), text("median", { ms: Math.round(median) }));
}

/** In a call the status is seen only: read out, it would be spoken over the bot, and into the microphone. */
function drawStatus() {
  const silent = inCall() && !view.unstable;
  $("status").setAttribute("aria-live", silent ? "off" : "polite");
  if (silent) $("talk").removeAttribute("aria-describedby");
  else $("talk").setAttribute("aria-describedby", "status");
  set($("status"), statusText());
}

/** A button that is disabled loses the keyboard's focus; it goes to the call button then. */
function enable(button, on) {
  if (!on && button === document.activeElement) $("talk").focus();
  button.disabled = !on;
}

function statusText() {
  if (view.asking) return text("statusAsking");
  if (view.unstable) return text("statusUnstable");
  if (view.state === "ended" && view.error) return text(view.wasUp ? "statusEnded" : "statusFailed");
  if (view.state === "ended" && CAUSES[view.cause]) return text(CAUSES[view.cause]);
  return text(`status${view.state[0].toUpperCase()}${view.state.slice(1)}`);
}

function drawProgress() {
  const entries = [...(view.flowState ? [[text("state"), view.flowState]] : []), ...view.slots];
  $("progress").hidden = entries.length === 0;
  $("progress").replaceChildren(...entries.map(([name, value]) => pair(name, value)));
}

function drawAbout() {
  const known = Object.keys(ABOUT).filter((name) => view.about[name]);
  $("about").replaceChildren(...known.map((name) => pair(text(ABOUT[name]), view.about[name])));
}

function pair(name, value) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  const group = document.createElement("div");
  group.append(term, description);
  return group;
}

/** Live regions are read out when they change, so they change only when the words do. */
function set(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function drawTexts() {
  document.documentElement.lang = language();
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()));
  }
  for (const key of document.querySelectorAll("[data-key]")) key.setAttribute("aria-label", keyName(key.dataset.key));
  $("legend").replaceChildren(...legend());
  transcript.redraw();
  drawAbout();
  draw();
}

function keyName(key) {
  return text("key", { key: { "*": text("star"), "#": text("hash") }[key] ?? key });
}

function drawClock() {
  const seconds = Math.floor((Date.now() - view.startedAt) / 1000);
  $("clock").hidden = !view.startedAt;
  $("clock").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// --- hands on ------------------------------------------------------------------------------------------------------

function buildKeypad() {
  $("keypad").append(...KEYS.map((key) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.key = key;
    const letters = document.createElement("small");
    letters.textContent = LETTERS[key] ?? "";
    button.append(key, letters);
    button.addEventListener("click", () => press(key));
    return button;
  }));
}

/** A second click of a double click, and the repeats of a key that is held, are no wish to hang up again. */
function pressTalk({ detail: clicks, timeStamp }) {
  const sincePress = timeStamp - pressedAt;
  pressedAt = timeStamp;
  if (clicks > 1 || sincePress < PRESS_GAP_MS) return;
  if (call) hangUp();
  else startCall();
}

function listen() {
  $("talk").addEventListener("click", pressTalk);
  $("mute").addEventListener("click", () => {
    call?.mute(!view.muted);
    show({ muted: !view.muted });
  });
  $("keypad-toggle").addEventListener("click", () => {
    $("keypad").hidden = !$("keypad").hidden;
    $("keypad-toggle").setAttribute("aria-expanded", String(!$("keypad").hidden));
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      useLanguage(button.dataset.language);
      drawTexts();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (KEYS.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat) press(event.key);
  });
  addEventListener("pagehide", () => call?.hangUp());
}

async function fetchAbout() {
  try {
    const response = await fetch("/api/info");
    if (response.ok) view.about = await response.json();
  } catch {
    return; // the footer stays empty; a call will tell that the server is away
  }
  drawAbout();
}

buildKeypad();
listen();
drawTexts();
setInterval(drawClock, 250);
fetchAbout();
