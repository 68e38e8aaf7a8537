/** How loud the two sides are, for the ring around the button: 0 (silent) to 1. */

const FLOOR_DB = -60;

export class Meter {
  #onLevel;
  #context = null;
  #analysers = new Map(); // side -> {source, analyser}
  #frame = 0;
  #level = 0;

  constructor(onLevel) {
    this.#onLevel = onLevel;
  }

  /** Measure a stream as one side ("caller" or "bot"). */
  listen(side, stream) {
    this.#context ??= new AudioContext();
    this.#context.resume();
    const source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 512;
    source.connect(analyser);
    this.#analysers.set(side, { source, analyser });
    this.#frame ||= requestAnimationFrame(() => this.#measure());
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    for (const { source } of this.#analysers.values()) source.disconnect();
    this.#analysers.clear();
    this.#context?.close();
    this.#context = null;
    this.#frame = 0;
    this.#level = 0;
    this.#onLevel(0);
  }

  #measure() {
    const loudest = Math.max(...[...this.#analysers.values()].map(({ analyser }) => levelOf(analyser)));
    this.#level = Math.max(loudest, this.#level * 0.88); // rises at once, falls in some 200 ms
    this.#onLevel(this.#level);
    this.#frame = requestAnimationFrame(() => this.#measure());
  }
}

function levelOf(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.max(0, 1 - (10 * Math.log10(power + 1e-9)) / FLOOR_DB);
}
