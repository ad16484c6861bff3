// <job-progress src="/api/jobs/ID" label="import of products.csv" lang="ar">: how far a job is.
// Attributes, events, texts and styles: docs/status-and-progress.md

/** The words by language; what a language lacks is English. */
export const texts = {
  en: {
    job: "job",
    pending: "Waiting to start",
    processing: "Running",
    cancelling: "Stopping…",
    completed: "Completed",
    failed: "Failed",
    cancelled: "Cancelled",
    of: "{done} of {total}",
    sofar: "{done} so far",
    left: "about {time} left",
    warnings: { one: ", 1 warning", other: ", {n} warnings" },
    cancel: "Cancel",
    retry: "Retry",
    result: "Download the result",
    offline: "No connection. Trying again…",
    refused: "Not available.",
  },
  ar: {
    job: "المهمة",
    pending: "في انتظار البدء",
    processing: "قيد التنفيذ",
    cancelling: "جارٍ الإيقاف…",
    completed: "اكتمل التنفيذ",
    failed: "فشل التنفيذ",
    cancelled: "أُلغي التنفيذ",
    of: "{done} من {total}",
    sofar: "{done} حتى الآن",
    left: "الوقت المتبقي: {time} تقريبًا",
    warnings: {
      one: "، مع تحذير واحد",
      two: "، مع تحذيرين",
      few: "، مع {n} تحذيرات",
      many: "، مع {n} تحذيرًا",
      other: "، مع {n} تحذير",
    },
    cancel: "إلغاء",
    retry: "إعادة تنفيذ",
    result: "تنزيل النتيجة",
    offline: "لا اتصال. تُعاد المحاولة…",
    refused: "غير متاح.",
  },
};

const PAUSES = [1, 1, 2, 3, 5, 8, 15]; // seconds
const ENDED = /completed|failed|cancelled/;
const BUSY = /processing|cancelling/;
const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);

export class JobProgress extends HTMLElement {
  static observedAttributes = ["src", "label", "lang", "texts"];
  #parts; // the elements inside
  #ownDir;
  #status; // the last answer
  #problem; // offline, refused
  #words; // of the server
  #actions; // what may be asked for now
  #asking;
  #stop; // ends what is under way
  #timer;
  #stream;
  #deaf; // no stream gets through
  #turn; // of PAUSES
  #said; // aloud

  connectedCallback() {
    if (!this.#parts) this.#build();
    this.#open();
    document.addEventListener("visibilitychange", this.#shown);
  }

  disconnectedCallback() {
    this.#end();
    document.removeEventListener("visibilitychange", this.#shown);
  }

  attributeChangedCallback(name) {
    if (!this.#stop) return;
    if (name === "src") this.#open();
    else this.#render();
  }

  #open() {
    this.#status = this.#problem = this.#words = undefined;
    this.#actions = "";
    this.#said = {};
    this.#render();
    this.#start();
  }

  #start() {
    this.#end();
    this.#stop = new AbortController();
    this.#turn = 0;
    if (this.getAttribute("src")) this.#poll();
  }

  #end() {
    this.#stop?.abort();
    this.#stream = this.#stream?.close();
    clearTimeout(this.#timer);
  }

  #shown = () => {
    if (!document.hidden && this.#timer) this.#poll();
  };

  #url(path = "") {
    const url = new URL(this.getAttribute("src"), document.baseURI);
    url.pathname += path;
    url.searchParams.set("lang", this.#lang);
    return url;
  }

  get #lang() {
    return (this.closest("[lang]")?.lang || "en").replace("_", "-");
  }

  #trouble(problem, words) {
    this.#problem = problem;
    this.#words = words;
    this.#render();
  }

  async #refused(answer) {
    const { message } = await answer.json().catch(() => ({}));
    this.#trouble("refused", message);
  }

  async #poll() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const stop = this.#stop.signal;
    let least = 0;
    try {
      const answer = await fetch(this.#url(), {
        signal: AbortSignal.any([stop, AbortSignal.timeout(30000)]),
      });
      least = +answer.headers.get("retry-after") || 0;
      if ([401, 403, 404, 410].includes(answer.status)) {
        this.#actions = "";
        return this.#refused(answer);
      }
      if (!answer.ok) throw answer;
      const status = await answer.json();
      this.#actions = answer.headers.get("tabur-actions") || "";
      this.#take(status);
    } catch {
      if (stop.aborted) return;
      this.#turn++;
      this.#trouble("offline");
    }
    if (stop.aborted || ENDED.test(this.#status?.status)) return;
    if (this.hasAttribute("events") && !this.#problem && !this.#deaf) return this.#listen();
    let pause =
      +this.getAttribute("interval") ||
      PAUSES[Math.min(this.#turn, 6)] * (0.85 + Math.random() * 0.3);
    if (document.hidden) pause *= 4;
    this.#timer = setTimeout(() => this.#poll(), Math.max(pause, least) * 1000);
  }

  #listen() {
    const stream = (this.#stream = new EventSource(this.#url("/events")));
    // Why it broke, and what may be asked for at the end, only a poll tells.
    const poll = (pause) => {
      this.#stream = stream.close();
      this.#timer = setTimeout(() => this.#poll(), pause);
    };
    this.#deaf = true;
    stream.onmessage = (event) => {
      this.#deaf = false;
      const status = JSON.parse(event.data);
      if (ENDED.test(status.status)) poll(0);
      else this.#take(status);
    };
    stream.onerror = () => poll(1000);
  }

  #take(status) {
    const before = this.#status;
    const changed = JSON.stringify(before) !== JSON.stringify(status);
    this.#turn = changed ? 0 : this.#turn + 1;
    this.#status = status;
    this.#trouble();
    if (!changed) return;
    const detail = { ...status, initial: !before };
    const tell = (name) =>
      this.dispatchEvent(new CustomEvent("job:" + name, { bubbles: true, detail }));
    const state = status.status;
    tell("update");
    if (ENDED.test(state)) tell(state === "completed" ? "done" : state);
  }

  async #ask(action) {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const answer = await fetch(this.#url("/" + action), {
        method: "POST",
        headers: { "X-Requested-With": "job-progress" },
      });
      if (answer.ok || answer.status === 409) this.#start();
      else this.#refused(answer);
    } catch {
      this.#trouble("offline");
    }
    this.#asking = false;
  }

  #build() {
    const parts = (this.#parts = {});
    const make = (tag, name, parent = this) => {
      const part = (parts[name] = document.createElement(tag));
      part.className = "job-progress-" + name;
      parent.append(part);
    };
    this.replaceChildren();
    make("label", "head");
    make("bdi", "label", parts.head);
    make("progress", "bar", parts.head);
    make("p", "line");
    make("p", "note");
    make("a", "result");
    make("button", "cancel");
    make("button", "retry");
    make("p", "live");
    parts.live.role = "status";
    parts.result.download = "";
    parts.cancel.onclick = () => this.#ask("cancel");
    parts.retry.onclick = () => this.#ask("retry");
    parts.cancel.type = parts.retry.type = "button";
    this.#ownDir = this.dir;
    this.role = "group";
    this.tabIndex = -1;
  }

  #render() {
    const { label, bar, line, note, live } = this.#parts;
    const lang = this.#lang;
    const own = JSON.parse(this.getAttribute("texts") || "{}");
    const t = { ...texts.en, ...texts[lang.split("-")[0]], ...texts[lang], ...own };
    const number = (n, options) => new Intl.NumberFormat(lang, options).format(n);
    const bidi = (text) => Object.assign(document.createElement("bdi"), { textContent: text });
    const name = this.getAttribute("label") || t.job;
    const status = this.#status || {};
    const { progress, done, total, warnings, eta_seconds: eta } = status;
    const state = status.cancelling ? "cancelling" : status.status || "pending";
    const busy = BUSY.test(state);
    const ended = ENDED.test(state);

    this.dir = this.#ownDir || (/^(ar|ckb|fa|he|ps|ug|ur)\b/.test(lang) ? "rtl" : "ltr");
    this.dataset.state = this.#problem || state;
    this.ariaLabel = label.textContent = name;

    const said = [t[state]];
    if (state === "completed" && warnings) {
      const form = t.warnings[new Intl.PluralRules(lang).select(warnings)] || t.warnings.other;
      said[0] += fill(form, { n: number(warnings) });
      this.dataset.state = "warned";
    }
    if (busy && progress != null) said.push(number(progress / 100, { style: "percent" }));
    if (done && state !== "pending") {
      const unit = status.unit ? " " + status.unit : "";
      const count = { done: number(done) + (total ? "" : unit), total: number(total) + unit };
      said.push(fill(total ? t.of : t.sofar, count));
    }
    const short = said.slice(0, 2);
    if (busy && eta) {
      const [unit, size] = eta < 60 ? ["second", 1] : eta < 5400 ? ["minute", 60] : ["hour", 3600];
      const time = number(Math.round(eta / size), { style: "unit", unit, unitDisplay: "long" });
      said.push(fill(t.left, { time }));
    }
    line.replaceChildren(...said.flatMap((part) => [" · ", bidi(part)]).slice(1));
    line.hidden = !this.#status;
    const doing = ended ? status.error : status.message;
    const words = this.#words || t[this.#problem] || doing || "";
    note.replaceChildren(bidi(words));
    note.hidden = !words;

    // Without a total there is nothing to fill: it moves while the job does.
    if (busy && progress == null) bar.removeAttribute("value");
    else bar.value = progress / 100 || 0;

    const wanted = {
      result: status.result_url,
      cancel: !ended && /cancel/.test(this.#actions),
      retry: ended && /retry/.test(this.#actions),
    };
    for (const each in wanted) {
      const part = this.#parts[each];
      part.textContent = t[each];
      part.ariaLabel = t[each] + " " + name;
      // Else the keyboard would be back at the top of the page.
      if (!wanted[each] && part === document.activeElement) this.focus();
      part.hidden = !wanted[each];
    }
    if (wanted.result) this.#parts.result.href = wanted.result;

    // Told aloud: a new state, and each 25 %, or 10 % where that took 10 s.
    if (!this.#status && !words) return;
    const last = this.#said;
    const now = Date.now();
    const step = progress - last.progress;
    const waited = now - last.at;
    if (
      last.state !== this.dataset.state ||
      step >= 25 ||
      (waited > 10000 && step >= 10) ||
      (waited > 30000 && progress == null)
    ) {
      this.#said = { state: this.dataset.state, progress, at: now };
      if (ended || this.#problem) short.push(words);
      live.textContent = [name, ...short].filter(Boolean).join(", ");
    }
  }
}

customElements.get("job-progress") || customElements.define("job-progress", JobProgress);
