/* A served page asks for what is new and takes it in, without being loaded again. */

const PAUSE = 1000;
const PAUSE_AFTER_FAILURE = 3000;
const PATIENCE = 10_000;
const BEHIND = "The newest could not be written: see where ddpo was started.";
const { version: firstVersion } = document.currentScript.dataset;

class Live {
  constructor() {
    this.version = firstVersion;
    this.shown = null;
    this.status = element("div", { role: "status", class: "notices" });
    document.querySelector("body > header").append(this.status);
  }

  async follow() {
    for (;;) {
      const pause = await this.ask();
      await new Promise((resolve) => setTimeout(resolve, pause));
      await untilVisible();
    }
  }

  /* Returns after how many milliseconds to ask again. */
  async ask() {
    try {
      const { version, data, behind } = await news();
      if (version === this.version) stampAll(data);
      else await this.take(data);
      this.version = version;
      this.asked = new Date().toLocaleTimeString("en-GB");
      this.say(behind ? BEHIND : "");
      return PAUSE;
    } catch (error) {
      const since = this.asked ? `as it was at ${this.asked}` : "not live yet";
      this.say(`${error.message} This page is ${since}, and tries again.`);
      return PAUSE_AFTER_FAILURE;
    }
  }

  async take(data) {
    const page = await newestPage();
    await forgetOld(samples, data);
    const newer = await newerSamples(samples);
    const all = [newer.summary, ...newer.columns.map(({ set }) => set), ...newer.chosen];
    const isNew = !this.shown || all.some((each, at) => each !== this.shown[at]);
    keepingPlace(() => {
      renewPage(page);
      if (isNew) showNewer(samples, newer);
    });
    this.shown = all;
  }

  /* Said anew only where it changes: a screen reader reads it then. */
  say(problem) {
    if (this.problem === problem) return;
    this.problem = problem;
    const said = problem
      ? element("ul", {}, element("li", { class: "warning" }, problem))
      : element("p", { class: "muted" }, "Live: what the run writes appears here.");
    this.status.replaceChildren(said);
  }
}

async function news() {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch("live", { signal }).catch(() => null);
  if (!answer?.ok) throw new Error("The server does not answer.");
  return answer.json();
}

/* Read into a document of its own, in which no script runs. */
function newestPage() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const failed = () => reject(new Error("The server does not answer."));
    request.open("GET", "index.html");
    request.responseType = "document";
    request.timeout = PATIENCE;
    request.addEventListener("load", () => {
      if (request.status === 200 && request.response) resolve(request.response);
      else failed();
    });
    for (const event of ["error", "timeout"]) request.addEventListener(event, failed);
    request.send();
  });
}

async function untilVisible() {
  while (document.hidden) {
    await new Promise((resolve) =>
      document.addEventListener("visibilitychange", resolve, { once: true }),
    );
  }
}

document.addEventListener("DOMContentLoaded", async () => {
  await load("summary").catch(() => {});
  new Live().follow();
});
