/** Keeps the screen on during a call: a phone that locks itself takes the microphone away. */

export class Awake {
  #lock = null;
  #held = false;

  constructor() {
    // A lock ends when the page is hidden, so it is asked for anew when the page is back.
    document.addEventListener("visibilitychange", () => {
      if (this.#held && document.visibilityState === "visible") this.#ask();
    });
  }

  hold() {
    if (this.#held) return;
    this.#held = true;
    this.#ask();
  }

  release() {
    this.#held = false;
    this.#lock?.release();
    this.#lock = null;
  }

  async #ask() {
    try {
      const lock = await navigator.wakeLock?.request("screen");
      if (this.#held) this.#lock = lock;
      else lock?.release();
    } catch {
      // A flat battery, or a browser that does not let pages do it: the screen goes off as it always does.
    }
  }
}
