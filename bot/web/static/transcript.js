/** The conversation in two lanes, the delay of each answer beneath it, interruptions struck through. */

import { text } from "./texts.js";

const STAGES = ["endpoint", "recognition", "flow", "speech", "playout"];
const FULL_BAR_MS = 2_000; // a bar as long as this fills its lane; a longer one is scaled to fit

export class Transcript {
  #list;
  #window; // in which the list scrolls
  #turns = new Map(); // turn_id -> {lane, words, heardShare, latency, element}
  #atEnd = true; // the newest is in sight, and is to stay so

  constructor(list, window_) {
    this.#list = list;
    this.#window = window_;
    window_.addEventListener("scroll", () => {
      this.#atEnd = window_.scrollHeight - window_.scrollTop - window_.clientHeight < 60;
    });
    new ResizeObserver(() => this.#follow()).observe(window_);
  }

  clear() {
    this.#turns.clear();
    this.#list.replaceChildren();
    this.#atEnd = true;
  }

  get isEmpty() {
    return this.#turns.size === 0;
  }

  /** Add a turn of one lane ("caller" or "bot"), or replace the text of the turn with this id. */
  say(lane, turnId, words) {
    this.#update(turnId, { lane, words });
  }

  /** The caller cut this turn off after `heardShare` (0 to 1) of it. */
  cut(turnId, heardShare) {
    this.#update(turnId, { heardShare: Math.min(1, Math.max(0, heardShare)) });
  }

  /** How long the answer took, as a whole and by stage, in milliseconds. */
  time(turnId, totalMs, stages) {
    this.#update(turnId, { latency: { totalMs, stages } });
  }

  /** Median of the answers' delays in milliseconds, null before the first. */
  get medianMs() {
    const sorted = [...this.#turns.values()].flatMap((turn) => turn.latency?.totalMs ?? []).sort((a, b) => a - b);
    if (sorted.length === 0) return null;
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Write everything again, after a change of language. */
  redraw() {
    for (const turn of this.#turns.values()) if (turn.element) this.#draw(turn);
  }

  #update(turnId, change) {
    const turn = Object.assign(this.#turns.get(turnId) ?? {}, change);
    this.#turns.set(turnId, turn);
    if (turn.lane === undefined) return; // its words are still to come
    if (!turn.element) {
      turn.element = document.createElement("li");
      turn.element.className = turn.lane;
      this.#list.append(turn.element);
    }
    this.#draw(turn);
    this.#follow();
  }

  #follow() {
    if (this.#atEnd) this.#window.scrollTop = this.#window.scrollHeight;
  }

  #draw(turn) {
    const speaker = element("span", "speaker", text(turn.lane));
    const words = element("p", "words");
    words.lang = "az";
    words.append(...wordsOf(turn));
    turn.element.replaceChildren(speaker, words, ...(turn.latency ? [latencyBar(turn.latency)] : []));
  }
}

/** The legend's entries: one for each stage. */
export function legend() {
  return STAGES.map((stage) => {
    const entry = element("li", "", text(stage));
    entry.dataset.stage = stage;
    return entry;
  });
}

function wordsOf({ words, heardShare }) {
  if (heardShare === undefined || heardShare >= 1) return [words];
  const split = wordEnd(words, Math.round(words.length * heardShare));
  const unheard = element("s", "", words.slice(split).trimStart());
  return [`${words.slice(0, split)} `, element("span", "visually-hidden", ` ${text("unheard")} `), unheard];
}

/** The word in which `position` falls was begun, so it was heard. */
function wordEnd(words, position) {
  if (position === 0) return 0;
  const space = words.indexOf(" ", position);
  return space < 0 ? words.length : space;
}

function latencyBar({ totalMs, stages }) {
  const whole = element("div", "latency");
  const bar = element("div", "bar");
  const scale = Math.max(FULL_BAR_MS, totalMs);
  const known = STAGES.filter((stage) => stages?.[stage] > 0);
  for (const stage of known) {
    const part = element("span");
    part.dataset.stage = stage;
    part.style.flexGrow = stages[stage] / scale;
    part.title = `${text(stage)}: ${inMs(stages[stage])}`;
    bar.append(part);
  }
  bar.setAttribute("role", "img");
  const parts = known.map((stage) => `${text(stage)} ${inMs(stages[stage])}`).join(", ");
  bar.setAttribute("aria-label", `${text("latency")}: ${inMs(totalMs)}${parts && `. ${parts}`}`);
  whole.append(bar, element("span", "total", inMs(totalMs)));
  return whole;
}

function inMs(ms) {
  return text("milliseconds", { ms: Math.round(ms) });
}

function element(tag, className = "", words = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (words) made.textContent = words;
  return made;
}
