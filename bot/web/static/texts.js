/** What the page says, in Azerbaijani and English. Every key is in both. */

const az = {
  skip: "Zəng düyməsinə keç",
  language: "Dil",
  call: "Zəng",
  talkIdle: "Zəng et",
  talkConnecting: "Ləğv et",
  talkActive: "Zəngi bitir",
  talkEnded: "Yenidən zəng et",
  statusIdle: "Düyməni basın və danışmağa başlayın.",
  statusAsking: "Brauzerdə mikrofona icazə verin.",
  statusConnecting: "Qoşulur…",
  statusListening: "Sizi dinləyirəm",
  statusSpeaking: "Köməkçi danışır",
  statusEnded: "Zəng bitdi.",
  statusFailed: "Zəng alınmadı.",
  statusUnstable: "Bağlantı zəifdir, bərpa olunur…",
  microphone: "Mikrofon",
  mute: "Mikrofonu söndür",
  keys: "Düymələr",
  keypad: "Düymələr: rəqəm daxil et",
  key: "{key} düyməsi",
  star: "ulduz",
  hash: "diyez",
  progress: "Zəngin gedişi",
  state: "Mərhələ",
  conversation: "Söhbət",
  empty: "Zəng edin: söhbət burada görünəcək.",
  caller: "Siz",
  bot: "Köməkçi",
  unheard: "sözü kəsildi, eşidilmədi:",
  latency: "Cavabın gecikməsi",
  milliseconds: "{ms} ms",
  median: "Cavab müddəti (median): {ms} ms",
  endpoint: "Sözün sonu",
  recognition: "Tanıma",
  flow: "Ssenari",
  speech: "Səsləndirmə",
  playout: "Ötürmə",
  aboutFlow: "Ssenari",
  aboutRecogniser: "Nitqin tanınması",
  aboutUnderstanding: "Anlama",
  aboutVoice: "Səs",
  aboutSip: "SIP ünvanı",
  causeCallerHungUp: "Siz zəngi bitirdiniz.",
  causeBotHungUp: "Köməkçi zəngi bitirdi.",
  causeTransferred: "Zəng operatora yönləndirildi.",
  causeMediaTimeout: "Səsiniz gəlmədiyi üçün zəng bitdi.",
  causeFailed: "Nasazlıq səbəbindən zəng kəsildi.",
  causeRejected: "Zəng qəbul edilmədi.",
  errorPermission:
    "Mikrofona icazə verilməyib. Brauzerin ünvan sətrindəki işarəyə toxunub icazə verin və yenidən zəng edin.",
  errorNoMicrophone: "Mikrofon tapılmadı. Mikrofonu qoşun və yenidən zəng edin.",
  errorMicrophoneBusy: "Mikrofondan başqa proqram istifadə edir. Həmin proqramı bağlayıb yenidən zəng edin.",
  errorInsecure: "Brauzer mikrofonu yalnız təhlükəsiz bağlantıda (https) və ya bu kompüterin özündə açır.",
  errorFull: "Hazırda bütün xətlər məşğuldur. {seconds} saniyədən sonra yenidən zəng edin.",
  errorServer: "Server cavab vermir. Bir azdan yenidən zəng edin.",
  errorRefused: "Server zəngi qəbul etmədi (kod {status}).",
  errorNoMedia: "Səs bağlantısı qurulmadı. Şəbəkəniz UDP bağlantısına icazə verməyə bilər.",
  errorLost: "Bağlantı kəsildi. İnterneti yoxlayıb yenidən zəng edin.",
};

const en = {
  skip: "Skip to the call button",
  language: "Language",
  call: "Call",
  talkIdle: "Call",
  talkConnecting: "Cancel",
  talkActive: "Hang up",
  talkEnded: "Call again",
  statusIdle: "Press the button and start talking.",
  statusAsking: "Allow the microphone in the browser.",
  statusConnecting: "Connecting…",
  statusListening: "Listening to you",
  statusSpeaking: "The assistant is speaking",
  statusEnded: "Call ended.",
  statusFailed: "The call did not go through.",
  statusUnstable: "The connection is weak, recovering…",
  microphone: "Microphone",
  mute: "Microphone off",
  keys: "Keypad",
  keypad: "Keypad: enter digits",
  key: "key {key}",
  star: "star",
  hash: "hash",
  progress: "Progress of the call",
  state: "Step",
  conversation: "Conversation",
  empty: "Make a call: the conversation will appear here.",
  caller: "You",
  bot: "Assistant",
  unheard: "cut short, not heard:",
  latency: "Delay of the answer",
  milliseconds: "{ms} ms",
  median: "Answer (median): {ms} ms",
  endpoint: "End of speech",
  recognition: "Recognition",
  flow: "Flow",
  speech: "Speech",
  playout: "Playout",
  aboutFlow: "Flow",
  aboutRecogniser: "Recogniser",
  aboutUnderstanding: "Understanding",
  aboutVoice: "Voice",
  aboutSip: "SIP address",
  causeCallerHungUp: "You ended the call.",
  causeBotHungUp: "The assistant ended the call.",
  causeTransferred: "The call was transferred to an operator.",
  causeMediaTimeout: "The call ended because no sound came from you.",
  causeFailed: "The call was cut off by a fault.",
  causeRejected: "The call was not accepted.",
  errorPermission: "The microphone is not allowed. Allow it by the icon in the address bar and call again.",
  errorNoMicrophone: "No microphone was found. Connect one and call again.",
  errorMicrophoneBusy: "Another program is using the microphone. Close it and call again.",
  errorInsecure: "The browser opens the microphone only over https or on this very computer.",
  errorFull: "All lines are busy. Call again in {seconds} seconds.",
  errorServer: "The server does not answer. Call again in a moment.",
  errorRefused: "The server did not accept the call (code {status}).",
  errorNoMedia: "No audio connection could be made. Your network may not allow UDP.",
  errorLost: "The connection was lost. Check your network and call again.",
};

const languages = { az, en };
let current = languages[remembered()] ? remembered() : "az";

function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null; // storage may be forbidden; the page works without it
  }
}

/** The language in use: "az" or "en". */
export function language() {
  return current;
}

/** Use another language from now on. */
export function useLanguage(code) {
  current = code;
  try {
    localStorage.setItem("language", code);
  } catch {
    // not remembered, then
  }
}

/** The text of `key`, with `{name}` replaced from `values`. */
export function text(key, values = {}) {
  return languages[current][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
