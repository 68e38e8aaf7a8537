/**
 * One WebRTC call to the bot, without any of the page: microphone, offer and answer, data channel.
 *
 * Events (CustomEvent, `detail` in brackets): "state" ["connecting" | "active" | "unstable" | "ended"],
 * "microphone" [MediaStream, again when another one is taken], "message" [an object from the bot, see
 * docs/page-protocol.md], "audio" [MediaStream], "failed" [{key, ...values}: the text to show].
 */

const CONNECT_TIMEOUT_MS = 20_000;
const GATHER_TIMEOUT_MS = 200; // what is found later trickles
const RESTART_AFTER_MS = 1_000; // of silence from the network, and after an attempt that nobody answered
const RESTART_AGAIN_AFTER_MS = 4_000; // after one that was answered: it takes some round trips
const RESTARTS = 8; // of one silence
const UNSTABLE_TIMEOUT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 3_000; // of what a call can do without
const MAX_WAITING = 32; // messages, until the data channel is open

const MICROPHONE_ERRORS = {
  NotAllowedError: "errorPermission",
  SecurityError: "errorPermission",
  NotFoundError: "errorNoMicrophone",
  OverconstrainedError: "errorNoMicrophone",
  NotReadableError: "errorMicrophoneBusy",
  AbortError: "errorMicrophoneBusy",
};

class CallError extends Error {
  constructor(key, values = {}) {
    super(key);
    this.detail = { key, ...values };
  }
}

export class Call extends EventTarget {
  #connection = null;
  #channel = null;
  #microphone = null;
  #waiting = [];
  #abort = new AbortController();
  #timer = 0;
  #restartTimer = 0;
  #restarts = 0;
  #restarting = false;
  #muted = false;
  #callId = null;
  #candidates = []; // found and not told yet
  #over = false;

  /** Open the microphone and call; failures come as a "failed" event, never as an exception. */
  async start() {
    this.#emit("state", "connecting");
    try {
      await this.#open();
      if (!this.#over) await this.#connect();
    } catch (error) {
      this.#fail(error instanceof CallError ? error.detail : { key: "errorServer" });
    }
  }

  /** Send one key press. */
  press(digit) {
    this.#send({ type: "digit", digit });
  }

  /** Stop sending sound (silence goes instead), or go on. */
  mute(muted) {
    this.#muted = muted;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** Hang up; also gives up a call that is not connected yet. */
  hangUp() {
    this.#end();
  }

  async #open() {
    this.#microphone = await openMicrophone();
    if (this.#over) return this.#release();
    this.mute(this.#muted);
    for (const track of this.#microphone.getAudioTracks()) track.addEventListener("ended", () => this.#reopen());
    this.#emit("microphone", this.#microphone);
  }

  /** The microphone was pulled out or taken away: go on with the one that there is now. */
  async #reopen() {
    try {
      await this.#open();
      if (!this.#over) await this.#connection?.getSenders()[0].replaceTrack(this.#microphone.getAudioTracks()[0]);
    } catch (error) {
      this.#fail(error instanceof CallError ? error.detail : { key: "errorNoMicrophone" });
    }
  }

  async #connect() {
    const configuration = await iceConfiguration(this.#abort.signal);
    if (this.#over) return;
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", ...configuration });
    this.#connection = connection;
    connection.addEventListener("icecandidate", ({ candidate }) => this.#onCandidate(candidate));
    connection.addEventListener("track", ({ track }) => this.#emit("audio", new MediaStream([track])));
    connection.addEventListener("connectionstatechange", () => this.#onConnectionState());
    for (const track of this.#microphone.getAudioTracks()) connection.addTrack(track, this.#microphone);
    this.#channel = connection.createDataChannel("zeng");
    this.#channel.addEventListener("message", ({ data }) => this.#onMessage(data));
    this.#channel.addEventListener("open", () => this.#waiting.splice(0).forEach((text) => this.#channel.send(text)));
    this.#channel.addEventListener("close", () => this.#end());
    this.#timer = setTimeout(() => this.#fail({ key: "errorNoMedia" }), CONNECT_TIMEOUT_MS);
    await connection.setLocalDescription();
    await gathered(connection);
    this.#candidates = [];
    const { call_id, ...answer } = await post(connection.localDescription, this.#abort.signal);
    this.#callId = call_id;
    if (this.#over) return;
    await connection.setRemoteDescription(answer);
    window.addEventListener("online", this.#onNetwork, { signal: this.#abort.signal });
    navigator.connection?.addEventListener?.("change", this.#onNetwork, { signal: this.#abort.signal });
    this.#tellCandidates();
  }

  #onCandidate(candidate) {
    if (!candidate?.candidate) return;
    this.#candidates.push(candidate.candidate.replace(/^candidate:/, ""));
    if (this.#callId) this.#tellCandidates();
  }

  async #tellCandidates() {
    const candidates = this.#candidates.splice(0);
    if (candidates.length) await renew({ call_id: this.#callId, candidates }, this.#abort.signal);
  }

  #onNetwork = () => {
    this.#restarts = 0;
    this.#restart();
  };

  /** Find a new way to the bot, for another network; what was agreed of sound and keys stays. */
  async #restart() {
    const connection = this.#connection;
    if (this.#over || !this.#callId || this.#restarting || this.#restarts >= RESTARTS) return;
    if (connection.signalingState !== "stable") return;
    this.#restarting = true;
    this.#restarts += 1;
    let answered = true;
    try {
      await this.#findNewWay(connection);
    } catch {
      answered = false;
      // Without an answer to it the offer is taken back, so that another can be made.
      if (!this.#over) await connection.setLocalDescription({ type: "rollback" }).catch(() => {});
    } finally {
      this.#restarting = false;
    }
    if (this.#over) return;
    // Whoever has another network asks until somebody answers, though the old way may serve still.
    if (!answered) this.#restartIn(RESTART_AFTER_MS);
    else if (connection.connectionState === "disconnected") this.#restartIn(RESTART_AGAIN_AFTER_MS);
  }

  #restartIn(ms) {
    clearTimeout(this.#restartTimer);
    this.#restartTimer = setTimeout(() => this.#restart(), ms);
  }

  async #findNewWay(connection) {
    connection.restartIce();
    await connection.setLocalDescription();
    await gathered(connection);
    this.#candidates = [];
    const answer = await renew({ call_id: this.#callId, sdp: connection.localDescription.sdp }, this.#abort.signal);
    if (!answer?.sdp) throw new CallError("errorServer");
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    this.#tellCandidates();
  }

  #onConnectionState() {
    clearTimeout(this.#timer);
    clearTimeout(this.#restartTimer);
    switch (this.#connection.connectionState) {
      case "connected":
        this.#restarts = 0;
        return this.#emit("state", "active");
      case "disconnected":
        this.#timer = setTimeout(() => this.#fail({ key: "errorLost" }), UNSTABLE_TIMEOUT_MS);
        this.#restartIn(RESTART_AFTER_MS);
        return this.#emit("state", "unstable");
      case "failed":
        return this.#fail({ key: "errorLost" });
      case "closed":
        return this.#end();
      default:
        this.#timer = setTimeout(() => this.#fail({ key: "errorNoMedia" }), CONNECT_TIMEOUT_MS);
    }
  }

  #onMessage(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not of this protocol
    }
    if (typeof message?.type !== "string") return;
    this.#emit("message", message);
    if (message.type === "call.ended") this.#end();
  }

  #send(message) {
    const text = JSON.stringify(message);
    if (this.#channel?.readyState === "open") this.#channel.send(text);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(text);
  }

  #fail(detail) {
    if (this.#over) return;
    this.#emit("failed", detail);
    this.#end();
  }

  #end() {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    this.#emit("state", "ended");
  }

  #release() {
    clearTimeout(this.#timer);
    clearTimeout(this.#restartTimer);
    this.#abort.abort();
    this.#connection?.close();
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

async function openMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) throw new CallError("errorInsecure");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new CallError(MICROPHONE_ERRORS[error.name] ?? "errorNoMicrophone");
  }
}

/** STUN and TURN servers, with credentials for a while; without them a direct way may still be found. */
async function iceConfiguration(signal) {
  try {
    const response = await fetch("/api/ice", { signal: withinLimit(signal) });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

/** Tell of a call that goes on; null where that did not work out. */
async function renew(body, signal) {
  try {
    const response = await fetch("/api/offer", {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: withinLimit(signal),
    });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** `signal`, or the end of patience with an answer. */
function withinLimit(signal) {
  const either = new AbortController();
  if (signal.aborted) either.abort();
  setTimeout(() => either.abort(), ANSWER_TIMEOUT_MS);
  signal.addEventListener("abort", () => either.abort());
  return either.signal;
}

/** All local candidates found, or enough waited: those that come later trickle. */
async function gathered(connection) {
  if (connection.iceGatheringState === "complete") return;
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_TIMEOUT_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

async function post({ type, sdp }, signal) {
  let response;
  try {
    response = await fetch("/api/offer", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type, sdp }),
      signal,
    });
  } catch {
    throw new CallError("errorServer");
  }
  if (response.status === 503) {
    throw new CallError("errorFull", { seconds: Number(response.headers.get("retry-after")) || 10 });
  }
  if (response.status >= 500) throw new CallError("errorServer");
  if (!response.ok) throw new CallError("errorRefused", { status: response.status });
  return response.json();
}
