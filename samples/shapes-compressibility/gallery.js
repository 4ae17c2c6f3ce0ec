"use strict";
(() => {
/* Elements and numbers. Data are text: they become nodes of text and values of attributes here, and
   never markup, which the page's content policy would refuse as well. */

const MINUS = "\u2212";
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/* Text from data, apart from the direction of what is around it. */
function isolated(text, attributes = {}) {
  return element("bdi", attributes, text);
}

/* A name from data, which may break after an underscore or a slash. */
function breakable(name) {
  const pieces = name.split(/(?<=[_/])/).flatMap((piece) => [element("wbr"), piece]);
  return element("bdi", {}, ...pieces.slice(1));
}

/* A button whose content is not data's to choose: `act` is called when it is pressed. */
function button(attributes, act, ...children) {
  const made = element("button", { type: "button", ...attributes }, ...children);
  made.addEventListener("click", act);
  return made;
}

function labelled(text, control) {
  return element("label", {}, element("span", {}, text), control);
}

/* Options are [value, text]; text may be data. */
function choice(options) {
  const made = element("select");
  refill(made, options);
  return made;
}

/* Other options for a choice: what was chosen stays so where it is among them. */
function refill(control, options) {
  const { value: chosen } = control;
  const values = options.map(([value]) => String(value));
  const made = options.map(([value, text]) => element("option", { value, dir: "auto" }, text));
  control.replaceChildren(...made);
  control.value = values.includes(chosen) ? chosen : (values[0] ?? "");
}

const formats = new Map();

/* As the page's other numbers are written; NaN stands for what could not be scored. */
function number(value, decimals) {
  if (Number.isNaN(value)) return "not scored";
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en-GB", digits));
  }
  const text = formats.get(decimals).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

function counted(count, noun) {
  return `${number(count, 0)} ${noun}${count === 1 ? "" : "s"}`;
}

function shorten(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/* Says before `place` why some work on it failed. */
function reporting(place, work) {
  work.catch((error) =>
    place.before(element("p", { class: "muted", role: "alert" }, error.message)),
  );
}

/* Calls `act` once, when `watched` is about to come into view. */
function whenNear(watched, act) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      act();
    },
    { rootMargin: "800px" },
  );
  observer.observe(watched);
}

/* Light, dark, or as the system has it; kept for the next visit where the browser allows that. */

const THEMES = [["auto", "as the system"], ["light", "light"], ["dark", "dark"]];
const THEME = "ddpo-theme";

function remembered() {
  try {
    const kept = localStorage.getItem(THEME);
    return THEMES.some(([name]) => name === kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

function wear(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    /* A browser that keeps nothing for files still shows the theme now. */
  }
}

function themeSwitch() {
  const control = choice(THEMES);
  control.value = remembered();
  control.addEventListener("change", () => wear(control.value));
  const made = labelled("Theme", control);
  made.className = "theme";
  return made;
}

/* At once, before the page is drawn. */
document.documentElement.dataset.theme = remembered();

/* What there is to show. A page opened from disk may load scripts and no other files, so data come
   as scripts that call ddpoData(name, value). */

const scripts = window.trustedTypes
  ? window.trustedTypes.createPolicy("data", { createScriptURL: dataFile })
  : { createScriptURL: dataFile };
const loading = new Map();
const arrivals = new Map();
/* At a server: which content of a data file is meant, since the browser keeps what it has had. */
const stamps = new Map();

window.ddpoData = (name, value) => arrivals.get(name)?.(value);

function dataFile(name) {
  if (!/^([1-9]\/)?\w+$/.test(name)) throw new Error(`${name} is no name of a data file`);
  const stamp = stamps.get(name);
  return `data/${name}.js${stamp ? `?v=${stamp}` : ""}`;
}

function setName(iteration) {
  return String(iteration).padStart(6, "0");
}

/* What `make` promises, made once for each key; what failed is not kept. */
function once(kept, key, make) {
  if (!kept.has(key)) {
    const made = make();
    made.catch(() => kept.delete(key));
    kept.set(key, made);
  }
  return kept.get(key);
}

function load(name) {
  return once(loading, name, () => requested(name));
}

function requested(name) {
  return new Promise((resolve, reject) => {
    arrivals.set(name, resolve);
    const script = document.createElement("script");
    script.src = scripts.createScriptURL(name);
    const ended = () => {
      script.remove();
      /* After it has resolved, this does nothing. */
      reject(new Error(`${dataFile(name)} is missing or damaged: write the gallery again.`));
    };
    script.addEventListener("load", ended);
    script.addEventListener("error", ended);
    document.head.append(script);
  });
}

/* The samples of one iteration of a run, whose `part` begins the names of its files. Numbers are kept
   in typed arrays, since there may be many. */
class SampleSet {
  constructor(part, { iteration, prompts, prompt, values, texts, absent, tests = [] }) {
    this.place = `${part}${setName(iteration)}`;
    this.iteration = iteration;
    this.prompts = prompts;
    this.texts = texts;
    this.tests = tests;
    this.prompt = Uint32Array.from(prompt);
    this.values = values.map((column) => Float64Array.from(column, (value) => value ?? NaN));
    this.absent = new Set(absent);
  }

  get count() {
    return this.prompt.length;
  }

  promptOf(number) {
    return this.prompts[this.prompt[number]][0];
  }

  referenceOf(number) {
    return this.prompts[this.prompt[number]][1];
  }

  /* Whether there is a sample of this number and prompt. */
  has(number, prompt) {
    return number < this.count && this.promptOf(number) === prompt;
  }

  isText(number) {
    return this.texts[number] !== null;
  }

  /* What became of a program's tests; null for any other sample. */
  resultsOf(number) {
    return this.tests[number] ?? null;
  }

  thumb(number) {
    return `thumbs/${this.place}/${String(number).padStart(4, "0")}.webp`;
  }

  picture(number) {
    return `pictures/${this.place}/${String(number).padStart(4, "0")}.png`;
  }
}

/* What a run's own samples before training are called. */
const BASE = "base";

function runName({ number }) {
  return `run ${number}`;
}

/* A run: the summary of what there is of it, and its samples. Of several runs, each has a number and
   a title, and a part of the folders. */
class Run {
  static async read(number, title) {
    const part = `${number}/`;
    return new Run(await load(`${part}summary`), part, number, title);
  }

  constructor(summary, part = "", number = null, title = null) {
    Object.assign(this, { part, number, title, sets: new Map() });
    this.take(summary);
  }

  /* What there is of it now. */
  take(summary) {
    Object.assign(this, summary);
    const [width, height] = this.size ?? [1, 1];
    this.aspect = height / width;
    this.isSmall = this.size !== null && Math.max(width, height) <= 128;
  }

  has(iteration) {
    return this.iterations.some((each) => each.iteration === iteration);
  }

  heading(iteration) {
    const found = this.iterations.find((each) => each.iteration === iteration);
    return found ? found.heading : `iteration ${number(iteration, 0)}`;
  }

  /* Where it stands beside other runs. */
  titleOf(iteration) {
    const heading = this.heading(iteration);
    return this.title === null ? heading : `${this.title}, ${heading}`;
  }

  get newest() {
    return this.iterations.at(-1).iteration;
  }

  get hasBase() {
    return this.has(0);
  }

  async sampleSet(iteration) {
    const name = `${this.part}${setName(iteration)}`;
    return once(this.sets, iteration, async () => new SampleSet(this.part, await load(name)));
  }

  /* The base's samples, where they have one of this prompt and number that is not this one. */
  async baseOf(set, at) {
    if (!this.hasBase || set.iteration === 0) return null;
    const base = await this.sampleSet(0);
    const isPair = base.has(at, set.promptOf(at)) && base.isText(at) === set.isText(at);
    return isPair ? base : null;
  }
}

/* A sample as it stands anywhere on the page, and the numbers beneath it. One is {run, set, at}: its
   run, the samples of its iteration, and its number among them. */

/* Characters of a text that are shown outside the lightbox; the style clips them further. */
const MOST_SHOWN = 600;

/* The numbers of a sample; with `all`, those too that are parts of a total. */
function scores({ run, set, at }, all) {
  const hasTotal = run.measures.some(({ section }) => section === "total");
  const list = element("dl", { class: "scores" });
  run.measures.forEach(({ name, section, decimals }, column) => {
    if (!all && hasTotal && section === "rewards") return;
    const value = number(set.values[column][at], decimals);
    const term = element("dt", {}, breakable(name));
    list.append(element("div", { class: section }, term, element("dd", {}, value)));
  });
  return list;
}

/* The small picture, or the text, of a sample. `description` is what the picture shows. */
function miniature({ run, set, at }, description) {
  if (set.isText(at)) {
    const style = set.resultsOf(at) ? "completion clipped lines" : "completion clipped";
    return completion(shorten(set.texts[at], MOST_SHOWN), style);
  }
  if (set.absent.has(at)) return element("span", { class: "absent" }, "picture missing");
  /* With its size, it has its place before it is there, and nothing moves when it comes. */
  const [width, height] = run.size;
  const how = { alt: description, width, height, decoding: "async" };
  return element("img", { src: set.thumb(at), ...how });
}

function completion(text, style) {
  if (!text.trim()) {
    return element("span", { class: "muted" }, text ? "(white space alone)" : "(empty)");
  }
  const lines = text.trim().includes("\n") ? " lines" : "";
  return isolated(text, { class: style + lines });
}

function promptText(prompt, style = null) {
  if (!prompt) return element("span", { class: "muted" }, "(empty prompt)");
  return isolated(prompt, { class: style });
}

/* Two texts, with the words marked that only one of them has. */

const MOST_WORDS = 1500;

/* What is only in `text` and only in `other`: two lists of [word, whether it is marked], words and
   the spaces between them in turn. Null where the texts are too long to compare. */
function compared(text, other) {
  const [ours, theirs] = [text, other].map((each) => each.match(/\s+|\S+/g) ?? []);
  const [a, b] = [ours, theirs].map((words) => words.filter((word) => word.trim()));
  if (Math.max(a.length, b.length) > MOST_WORDS) return null;
  const [shared, sharedThere] = common(a, b);
  return [marked(ours, shared), marked(theirs, sharedThere)];
}

/* The indices, in each of two lists of words, of a longest common subsequence. */
function common(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      lengths[at] =
        a[i] === b[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const [inA, inB] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const at = i * width + j;
    if (a[i] === b[j]) {
      inA.add(i++);
      inB.add(j++);
    } else if (lengths[at + width] >= lengths[at + 1]) i++;
    else j++;
  }
  return [inA, inB];
}

function marked(pieces, shared) {
  let word = 0;
  return pieces.map((piece) => [piece, piece.trim() !== "" && !shared.has(word++)]);
}

function withMarks(pieces, style) {
  const parts = pieces.map(([piece, mark]) =>
    mark ? element("mark", { class: style }, piece) : document.createTextNode(piece),
  );
  return element("bdi", { class: "completion" }, ...parts);
}

/* One sample in full, against another of the same prompt: the base's, or another run's. That is
   {name, set, at}. */

/* The stage of the lightbox: a picture and, where there is another, a slider that uncovers it. */
function pictureStage({ run, set, at }, other) {
  if (set.absent.has(at)) return element("div", { class: "absent" }, "picture missing");
  const prompt = shorten(set.promptOf(at), 120);
  const alt = `${run.titleOf(set.iteration)}: ${prompt}`;
  const picture = element("img", { src: set.picture(at), alt });
  if (other === null || other.set.absent.has(other.at)) {
    return element("div", { class: "stage" }, picture);
  }
  const beneath = { src: other.set.picture(other.at), alt: `${other.name}: ${prompt}` };
  const before = element("img", { ...beneath, class: "before" });
  const pair = element("div", { class: "pair" }, picture, before);
  const name = run.number === null ? run.heading(set.iteration) : runName(run);
  return element("div", { class: "stage" }, pair, slider(other.name, name, pair));
}

function slider(other, name, pair) {
  const range = element("input", { type: "range", min: 0, max: 100, value: 0 });
  const show = () => {
    pair.style.setProperty("--uncovered", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % of ${whose(other)} picture`);
  };
  const follow = (event) => {
    const { left, width } = pair.getBoundingClientRect();
    range.value = (100 * (event.clientX - left)) / width;
    show();
  };
  range.addEventListener("input", show);
  pair.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pair.setPointerCapture(event.pointerId);
    follow(event);
  });
  pair.addEventListener("pointermove", (event) => {
    if (pair.hasPointerCapture(event.pointerId)) follow(event);
  });
  show();
  const ends = [element("span", {}, other), range, element("span", {}, name)];
  return element("label", { class: "slider" }, ...ends);
}

/* A completion, its reference with the differences marked, and what the other one is. */
function textStage({ set, at }, other) {
  const text = set.texts[at];
  const reference = set.referenceOf(at);
  const marks = reference === null ? null : compared(text, reference);
  const ours = marks && text.trim() ? withMarks(marks[0], "only") : completion(text, "completion");
  const parts = [titled("Completion", ours)];
  if (reference !== null) {
    const shown = marks ? withMarks(marks[1], "lacking") : completion(reference, "completion");
    parts.push(titled("Reference", shown), legend(marks));
  }
  if (other !== null) {
    const title = `${capital(other.name)}'s completion`;
    parts.push(titled(title, completion(other.set.texts[other.at], "completion")));
  }
  return element("div", { class: "stage texts" }, ...parts);
}

function whose(name) {
  return name === BASE ? `the ${name}'s` : `${name}'s`;
}

function capital(name) {
  return `${name[0].toUpperCase()}${name.slice(1)}`;
}

function titled(title, content) {
  return element("section", {}, element("h3", {}, title), content);
}

function legend(marks) {
  if (marks === null) return element("p", { class: "muted" }, "Too long to mark differences in.");
  const [only, lacking] = [
    element("mark", { class: "only" }, "not in the reference"),
    element("mark", { class: "lacking" }, "not in the completion"),
  ];
  return element("p", { class: "muted" }, "Marked: words ", only, " and ", lacking, ".");
}

/* Python in colours, roughly: a program is text that is cut into pieces here, and nothing else. */

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except " +
    "finally for from global if import in is lambda nonlocal not or pass raise return try while " +
    "with yield").split(" "),
);
/* At every character one of these matches, and none goes back: a string that is not closed ends with
   its line, one in three quotes with the text. */
const PIECES = new RegExp(
  [
    String.raw`(?<comment>#.*)`,
    String.raw`(?<string>[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)` +
      String.raw`|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
    String.raw`(?<number>\d[\w.]*)`,
    String.raw`(?<word>\w+)`,
    String.raw`(?<other>[^\w#"']+)`,
  ].join("|"),
  "g",
);

/* The pieces of a program as [class or null, text]. */
function pieces(program) {
  return Array.from(program.matchAll(PIECES), ({ 0: text, groups }) => [kindOf(groups), text]);
}

function kindOf({ comment, string, number, word }) {
  if (comment) return "comment";
  if (string) return "string";
  if (number) return "number";
  return KEYWORDS.has(word) ? "keyword" : null;
}

/* Its lines, each a list of nodes and texts. */
function highlightedLines(program) {
  const lines = [[]];
  for (const [kind, text] of pieces(program)) {
    text.split("\n").forEach((part, index) => {
      if (index) lines.push([]);
      if (part) lines.at(-1).push(kind ? element("span", { class: kind }, part) : part);
    });
  }
  return lines;
}

/* Programs, and what became of their tests. Whatever a program is or returns is text here. */

const LONGEST_PROGRAM = 20_000;
const VERDICTS = new Map([
  [true, ["✓", "passed", "right"]],
  [false, ["✗", "failed", "wrong"]],
  [null, ["–", "not known", null]],
]);

/* A program with the results of its tests, and what the other one is. */
function programStage({ set, at }, other) {
  const reference = set.referenceOf(at);
  const parts = [
    titled("Program", program(set.texts[at], "Program")),
    titled("Tests", tests(set.resultsOf(at))),
  ];
  if (reference !== null) parts.push(titled("Reference", program(reference, "Reference")));
  if (other !== null) {
    const title = `${capital(other.name)}'s program`;
    parts.push(titled(title, program(other.set.texts[other.at], title)));
    parts.at(-1).append(testsPassed(other.set.resultsOf(other.at)) ?? "");
  }
  return element("div", { class: "stage texts" }, ...parts);
}

/* Code in a box of its own, which scrolls sideways; very long code without numbers and colours. */
function program(text, name) {
  if (!text.trim()) return completion(text, "completion");
  const place = { class: "program", tabindex: 0, role: "region", "aria-label": name };
  if (text.length > LONGEST_PROGRAM) return element("pre", place, isolated(text));
  const lines = highlightedLines(text.replace(/\n$/, ""));
  const drawn = lines.flatMap((line) => [element("span", { class: "line" }, ...line), "\n"]);
  return element("pre", place, ...drawn);
}

/* "3 of 5 tests passed"; null where a sample is no program. */
function testsPassed(results) {
  if (results === null) return null;
  const all = counted(results.count, "test");
  const isKnown = results.passed !== null;
  const text = isKnown ? `${number(results.passed, 0)} of ${all} passed` : `${all}, not run`;
  return element("span", { class: "passed" }, text);
}

function tests(results) {
  const [shown, parts] = [results.tests.length, [testsPassed(results)]];
  if (results.problem) parts.push(note("Nothing is known of it: ", isolated(results.problem)));
  if (results.python === false) parts.push(note("It is not Python, so that nothing was run."));
  if (shown) parts.push(testTable(results.tests));
  if (shown && shown < results.count) parts.push(note(`The first ${shown} are listed.`));
  return element("div", { class: "tests" }, ...parts);
}

function note(...content) {
  return element("p", { class: "muted" }, ...content);
}

function testTable(listed) {
  const titles = ["result", "call", "expected", "what came"];
  const head = titles.map((title) => element("th", { scope: "col" }, title));
  const rows = listed.map(({ call, expected, got, passed }) => {
    const [mark, word, style] = VERDICTS.get(passed);
    const verdict = [element("span", { "aria-hidden": "true" }, mark), ` ${word}`];
    const cells = [call, expected, got].map((text) => element("td", {}, isolated(text)));
    return element("tr", { class: style }, element("td", {}, ...verdict), ...cells);
  });
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}

/* One sample over the page, with all that is known of it; arrow keys go through a list. */

class Lightbox {
  constructor() {
    this.wanted = BASE;
    this.title = element("h2", { id: "lightbox-title" });
    this.place = element("p", { class: "muted", "aria-live": "polite" });
    /* It scrolls where the screen is small, which the keyboard must be able to do. */
    this.content = element("div", {
      class: "content",
      tabindex: 0,
      role: "region",
      "aria-label": "Sample",
    });
    this.previous = button({}, () => this.move(-1), "← Previous");
    this.next = button({}, () => this.move(1), "Next →");
    this.against = element("select");
    this.against.addEventListener("change", () => this.compare(this.against.value));
    this.choice = labelled("Compared with", this.against);
    const close = button({ "aria-label": "Close" }, () => this.dialog.close(), "×");
    const head = element("header", {}, element("div", {}, this.title, this.place), close);
    this.dialog = element(
      "dialog",
      { class: "lightbox", "aria-labelledby": "lightbox-title" },
      head,
      this.content,
      element("nav", { "aria-label": "Samples" }, this.previous, this.choice, this.next),
    );
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.closed(this.index));
    document.body.append(this.dialog);
  }

  /* Shows one of a list, which is {count, at(index) → sample}; in a row of several runs `others` are
     samples that it may be compared with. `closed` is told which one was shown last. */
  async open(list, index, closed = () => {}) {
    this.list = list;
    this.closed = closed;
    await this.show(index);
    if (!this.dialog.open) this.dialog.showModal();
  }

  move(by) {
    const index = this.index + by;
    if (index >= 0 && index < this.list.count) this.show(index);
  }

  pressed(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    /* The slider and the choice have these keys for themselves, and a program that scrolls sideways. */
    if (!by || event.target.matches("input, select, pre")) return;
    event.preventDefault();
    this.move(by);
  }

  async show(index) {
    this.index = index;
    const sample = this.list.at(index);
    const others = await this.othersOf(sample);
    /* Another one was asked for while the data came. */
    if (this.index !== index) return;
    const { run, set, at } = sample;
    this.title.textContent = `${run.titleOf(set.iteration)}, ${run.shown} ${at}`;
    this.place.textContent = `${number(index + 1, 0)} of ${number(this.list.count, 0)}`;
    this.content.replaceChildren(this.stage(sample, this.offered(others)), this.facts(sample));
    this.endAt(this.previous, index === 0);
    this.endAt(this.next, index === this.list.count - 1);
  }

  stage(sample, other) {
    const { set, at } = sample;
    if (!set.isText(at)) return pictureStage(sample, other);
    return set.resultsOf(at) ? programStage(sample, other) : textStage(sample, other);
  }

  /* A button that is disabled under the focus would take the keys with it. */
  endAt(control, isEnd) {
    if (isEnd && document.activeElement === control) this.content.focus();
    control.disabled = isEnd;
  }

  /* What a sample may be compared with: its run's base, and other runs' samples of its row. */
  async othersOf({ run, set, at }) {
    if (set.iteration === 0) return [];
    const base = await run.baseOf(set, at);
    const found = base === null ? [] : [{ name: BASE, set: base, at }];
    const others = (this.list.others ?? []).filter(
      (other) => other.run !== run && other.set.isText(other.at) === set.isText(at),
    );
    return [...found, ...others.map((other) => ({ name: runName(other.run), ...other }))];
  }

  /* The one that was asked for last, where it is there; a choice where there are several. */
  offered(others) {
    const other = others.find(({ name }) => name === this.wanted) ?? others[0] ?? null;
    this.choice.hidden = others.length < 2;
    refill(this.against, others.map(({ name }) => [name, name]));
    this.against.value = other?.name ?? "";
    return other;
  }

  compare(name) {
    this.wanted = name;
    this.show(this.index);
  }

  facts(sample) {
    const { run, set, at } = sample;
    const terms = [
      ["prompt", promptText(set.promptOf(at))],
      ["iteration", number(set.iteration, 0)],
      ["number", `${at}, with seed ${run.seed || "not known"}`],
    ];
    const list = element("dl", { class: "about" });
    for (const [term, value] of terms) {
      list.append(element("div", {}, element("dt", {}, term), element("dd", {}, value)));
    }
    const hasFile = !set.isText(at) && !set.absent.has(at);
    const original = element("a", { href: set.picture(at) }, "the picture's file");
    const numbers = scores(sample, true);
    return element("aside", {}, list, numbers, hasFile ? original : null);
  }
}

/* The grid: a row a prompt, and columns of samples. Rows are built as they come into view. */

const AT_ONCE = 8;
const BEFORE_ASKING = 64;

/* The samples of one run at one iteration; `numberIn` says which of them stands in a row. */
class Column {
  constructor(run, iteration, numberIn = (row) => row) {
    this.run = run;
    this.iteration = iteration;
    this.numberIn = numberIn;
  }

  /* Asked anew each time: what is called the newest may be so no longer. */
  get title() {
    return this.run.titleOf(this.iteration);
  }

  async load() {
    this.set = await this.run.sampleSet(this.iteration);
  }

  /* The sample in a row; null where there is none of its prompt. */
  sampleIn(row, prompt) {
    const at = this.numberIn(row);
    const isThere = at !== null && this.set.has(at, prompt);
    return isThere ? { run: this.run, set: this.set, at } : null;
  }
}

class Rows {
  /* `prompts` says which rows there are; by default the samples of the longest column. */
  constructor({ name, columns, prompts = null }, lightbox, place) {
    this.name = name;
    this.prompts = prompts;
    this.lightbox = lightbox;
    this.place = place;
    this.columns = columns;
    whenNear(place, () => reporting(place, this.show(this.columns)));
  }

  async show(columns) {
    this.columns = columns;
    await Promise.all(columns.map((column) => column.load()));
    /* Others were asked for while the data came. */
    if (this.columns !== columns) return;
    if (!this.whole) this.begin();
    this.lay(AT_ONCE);
  }

  begin() {
    this.asked = BEFORE_ASKING;
    this.more = button({ class: "more", hidden: true }, () => this.askMore());
    this.end = element("div");
    this.whole = element("div");
    this.place.replaceChildren(this.whole, this.more, this.end);
  }

  /* Builds the table, with so many rows to begin with. */
  lay(count) {
    this.rows = this.prompts ?? longest(this.columns);
    this.built = 0;
    this.body = element("tbody", { role: "rowgroup" });
    this.whole.replaceChildren(this.table());
    this.build(count);
  }

  table() {
    const titles = ["prompt", ...this.columns.map(({ title }) => title)];
    const cells = titles.map((title) =>
      element("th", { scope: "col", role: "columnheader" }, title),
    );
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...cells));
    const style = `grid columns-${this.columns.length}`;
    return element("table", { class: style, role: "table", "aria-label": this.name }, head, this.body);
  }

  build(count = AT_ONCE) {
    const end = Math.min(this.built + count, this.asked, this.rows.count);
    for (; this.built < end; this.built++) this.body.append(this.row(this.built));
    const left = this.rows.count - this.built;
    this.more.hidden = left === 0 || this.built < this.asked;
    const next = Math.min(left, BEFORE_ASKING);
    this.more.textContent = `Show ${next} more of ${counted(this.rows.count, "row")}`;
    if (left > 0 && this.built < this.asked) this.goOnWhenNear();
  }

  goOnWhenNear() {
    if (this.waits) return;
    this.waits = true;
    whenNear(this.end, () => {
      this.waits = false;
      this.build();
    });
  }

  askMore() {
    this.asked += BEFORE_ASKING;
    this.build();
  }

  row(at) {
    const prompt = this.rows.promptOf(at);
    const samples = this.columns.map((column) => column.sampleIn(at, prompt));
    const shown = samples.filter((sample) => sample !== null);
    const list = { count: shown.length, at: (index) => shown[index], others: newestOf(shown) };
    const cells = samples.map((sample, index) => {
      const { title } = this.columns[index];
      const content = sample
        ? this.cell(sample, title, () => this.open(list, shown.indexOf(sample), at))
        : [element("div", { class: "absent" }, "not there")];
      return element("td", { role: "cell", "data-label": title }, ...content);
    });
    const head = element("th", { scope: "row", role: "rowheader" }, promptText(shorten(prompt, MOST_SHOWN), "clipped"));
    const reference = this.rows.referenceOf(at);
    if (reference !== null) {
      const text = isolated(shorten(reference, MOST_SHOWN), { class: "clipped" });
      head.append(element("div", { class: "reference" }, element("span", {}, "reference: "), text));
    }
    return element("tr", { role: "row" }, head, ...cells);
  }

  open(list, index, row) {
    this.lightbox.open(list, index, (last) => this.focus(list.at(last), row));
  }

  /* Gives the focus to what opens a sample in its row, or a newer one in its place. */
  focus({ run, set }, row) {
    const prompt = this.rows.promptOf(row);
    const column = this.columns.findIndex((each) => {
      const sample = each.sampleIn(row, prompt);
      return sample?.run === run && sample.set.iteration === set.iteration;
    });
    this.body.rows[row]?.cells[column + 1]?.querySelector("button")?.focus({ preventScroll: true });
  }

  cell(sample, title, open) {
    const { set, at } = sample;
    const prompt = shorten(set.promptOf(at), 120);
    const small = miniature(sample, `${title}: ${prompt}`);
    const beneath = scores(sample, false);
    if (set.isText(at)) {
      const name = `Open the completion of ${title}: ${prompt}`;
      const passed = testsPassed(set.resultsOf(at));
      return [small, passed, beneath, button({ class: "link", "aria-label": name }, open, "open")];
    }
    return [button({ class: "plain" }, open, small), beneath];
  }
}

function longest(columns) {
  return columns.map(({ set }) => set).reduce((most, set) => (set.count > most.count ? set : most));
}

/* Of several runs, what a sample of the row may be compared with, beside its base. */
function newestOf(samples) {
  return samples.filter(({ run, set }) => run.number !== null && set.iteration !== 0);
}

/* The grid of several runs: the base, then each run at its newest iteration or at one that is
   chosen. */
class RunGrid {
  constructor(runs, { rows, prompts, baseOnce }, lightbox, place) {
    this.runs = runs;
    this.rows = rows;
    this.baseOnce = baseOnce;
    const found = {
      count: rows.length,
      promptOf: (row) => prompts[rows[row][0]][0],
      referenceOf: (row) => prompts[rows[row][0]][1],
    };
    const grid = { name: "Samples by run", columns: this.columns(null), prompts: found };
    this.grid = new Rows(grid, lightbox, place);
    place.before(this.control(place));
  }

  control(place) {
    const iterations = new Set(this.runs.flatMap((run) => run.iterations.map((each) => each.iteration)));
    const offered = [...iterations].filter((each) => each !== 0).sort((a, b) => a - b);
    const control = choice([
      ["", "newest of each"],
      ...offered.map((each) => [each, `iteration ${number(each, 0)}`]),
    ]);
    control.addEventListener("change", () => {
      const chosen = control.value === "" ? null : Number(control.value);
      reporting(place, this.grid.show(this.columns(chosen)));
    });
    const made = labelled("Runs at", control);
    made.className = "runs-at";
    return made;
  }

  /* At an iteration, or at the newest of each run where that is null. */
  columns(iteration) {
    const columns = this.runs.map((run, index) => this.column(run, iteration ?? run.newest, index));
    const base = this.runs.map((run, index) => (run.hasBase ? this.column(run, 0, index) : null));
    if (this.baseOnce) return [new FirstOf(BASE, base), ...columns];
    return columns.flatMap((column, index) => {
      const isOther = base[index] !== null && column.iteration !== 0;
      return isOther ? [base[index], column] : [column];
    });
  }

  column(run, iteration, index) {
    const numberIn = (row) => this.rows[row][1 + index];
    return run.has(iteration) ? new Column(run, iteration, numberIn) : new Lacking(run, iteration);
  }
}

/* The column of an iteration that a run has no samples of. */
class Lacking {
  constructor({ title }, iteration) {
    this.title = `${title}, iteration ${number(iteration, 0)}`;
  }

  async load() {}

  sampleIn() {
    return null;
  }
}

/* Columns that are one: in a row, the first that has a sample there. */
class FirstOf {
  constructor(title, columns) {
    this.title = title;
    this.columns = columns;
  }

  async load() {
    await Promise.all(this.columns.map((column) => column.load()));
  }

  sampleIn(row, prompt) {
    const found = this.columns.map((column) => column.sampleIn(row, prompt));
    return found.find((sample) => sample !== null) ?? null;
  }
}

/* Which samples of an iteration to show, and in which order: numbers of samples. */

/* By the column of a measure; what could not be scored comes last. */
const ORDERS = {
  best: (values) => (a, b) => values[b] - values[a] || a - b,
  worst: (values) => (a, b) => values[a] - values[b] || a - b,
};

function ordered(set, { order, column, prompt, promptHas, textHas }) {
  const kept = filtered(set, prompt, promptHas.toLowerCase(), textHas.toLowerCase());
  if (order === "random") return shuffled(kept);
  const values = set.values[column];
  if (!values || !(order in ORDERS)) return kept;
  const scored = kept.filter((at) => !Number.isNaN(values[at]));
  const others = kept.filter((at) => Number.isNaN(values[at]));
  return [...scored.sort(ORDERS[order](values)), ...others];
}

/* Prompts are looked at once each, however many samples they have. */
function filtered(set, prompt, promptHas, textHas) {
  const fits = set.prompts.map(
    ([text]) => (prompt === null || text === prompt) && text.toLowerCase().includes(promptHas),
  );
  const kept = [];
  for (let at = 0; at < set.count; at++) {
    if (!fits[set.prompt[at]]) continue;
    if (!textHas || set.texts[at]?.toLowerCase().includes(textHas)) kept.push(at);
  }
  return kept;
}

/* The same random order at every visit, so that two people speak of the same samples. */
function shuffled(numbers) {
  const mixed = [...numbers];
  let state = 1;
  for (let last = mixed.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

/* Many samples in a box that scrolls: only those in view are elements. */

const OVERSCAN = 2;
const REST = 80;
const MOVES = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: (n) => -n, ArrowDown: (n) => n };

class Wall {
  /* `measure` says how wide an item is at least and how high one of a width is, in pixels; `draw`
     fills one; `open` is called with an index when one is pressed. */
  constructor({ label, measure, draw, open }) {
    this.measure = measure;
    this.draw = draw;
    this.open = open;
    this.items = new Map();
    this.count = 0;
    this.active = 0;
    this.top = 0;
    this.list = element("ul");
    this.box = element("div", { class: "wall", role: "region", "aria-label": label }, this.list);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.lay()).observe(this.box);
  }

  show(count) {
    this.count = count;
    this.active = 0;
    this.clear();
    this.box.scrollTop = 0;
    this.lay();
  }

  clear() {
    this.items.clear();
    this.list.replaceChildren();
  }

  lay() {
    const gap = 16;
    const room = this.list.clientWidth;
    if (!room) return;
    const { width, height } = this.measure;
    this.columns = Math.max(1, Math.floor((room + gap) / (width(room) + gap)));
    const wide = (room - gap * (this.columns - 1)) / this.columns;
    this.step = { x: wide + gap, y: height(wide) + gap };
    this.list.style.setProperty("--width", `${wide}px`);
    this.list.style.setProperty("--height", `${height(wide)}px`);
    this.list.style.height = `${Math.ceil(this.count / this.columns) * this.step.y}px`;
    for (const [index, item] of this.items) this.put(item, index);
    this.refresh();
  }

  /* Whoever drags past whole screens sees none of them: those are left out until the box rests. */
  scrolled() {
    const { scrollTop, clientHeight } = this.box;
    const isFar = Math.abs(scrollTop - this.top) > clientHeight;
    this.top = scrollTop;
    clearTimeout(this.resting);
    if (isFar) this.resting = setTimeout(() => this.refresh(), REST);
    else this.refresh();
  }

  refresh() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.render();
    });
  }

  render() {
    if (!this.step) return;
    const [first, end] = this.range();
    for (const [index, item] of this.items) {
      /* One that has the focus stays: without it, keys would have nowhere to go. */
      if ((index >= first && index < end) || item.contains(document.activeElement)) continue;
      item.remove();
      this.items.delete(index);
    }
    for (let index = first; index < end; index++) this.item(index);
    /* One of those in view can be reached by the Tab key. */
    if (this.active < first || this.active >= end) this.activate(Math.min(first, this.count - 1));
  }

  range() {
    const { scrollTop, clientHeight } = this.box;
    const firstRow = Math.max(0, Math.floor(scrollTop / this.step.y) - OVERSCAN);
    const endRow = Math.ceil((scrollTop + clientHeight) / this.step.y) + OVERSCAN;
    return [firstRow * this.columns, Math.min(this.count, endRow * this.columns)];
  }

  item(index) {
    if (this.items.has(index)) return this.items.get(index);
    const place = { "aria-posinset": index + 1, "aria-setsize": this.count };
    const press = button({ class: "plain" }, () => this.open(index), ...this.draw(index));
    press.tabIndex = index === this.active ? 0 : -1;
    press.addEventListener("focus", () => this.activate(index));
    const made = element("li", place, press);
    this.put(made, index);
    this.items.set(index, made);
    this.list.append(made);
    return made;
  }

  put(item, index) {
    const [column, row] = [index % this.columns, Math.floor(index / this.columns)];
    item.style.transform = `translate(${column * this.step.x}px, ${row * this.step.y}px)`;
  }

  activate(index) {
    for (const [at, item] of this.items) item.firstChild.tabIndex = at === index ? 0 : -1;
    this.active = index;
  }

  pressed(event) {
    const to = this.target(event.key);
    if (to === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.count - 1, to)));
  }

  target(key) {
    if (key === "Home") return 0;
    if (key === "End") return this.count - 1;
    return key in MOVES ? this.active + MOVES[key](this.columns) : null;
  }

  focus(index) {
    const top = Math.floor(index / this.columns) * this.step.y;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    const below = top + this.step.y - clientHeight;
    if (below > scrollTop) this.box.scrollTop = below;
    this.item(index).firstChild.focus({ preventScroll: true });
  }
}

/* How many samples have which reward: the base's and an iteration's, in shares of each. */

const BINS = 24;
const FRAME = { width: 440, height: 200, left: 44, right: 428, top: 26, bottom: 160 };

function histogram(measure, heading, values, base) {
  const ours = scored(values);
  const theirs = base === null ? new Float64Array() : scored(base);
  const [low, high] = extent([ours, theirs]);
  if (low === null) return element("p", { class: "muted" }, "Nothing was scored here.");
  const heights = [ours, theirs].map((each) => shares(each, low, high));
  const top = Math.max(...heights.flat());
  const words = [
    [heading, ours],
    ["base", theirs],
  ].map(([name, list]) => `${name}: ${inWords(list, measure)}`);
  const tone = measure.section === "watch" ? "watch" : "reward";
  const chart = drawing(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${FRAME.width} ${FRAME.height}`,
      role: "img",
      "aria-labelledby": "histogram-title histogram-desc",
    },
    drawing("title", { id: "histogram-title" }, `Samples by ${measure.name}`),
    drawing("desc", { id: "histogram-desc" }, `${(theirs.length ? words : words.slice(0, 1)).join(". ")}.`),
    ...axes(measure, low, high, top),
    drawing("path", { class: `bars ${tone}`, d: `${outline(heights[0], top)}Z` }),
    theirs.length ? drawing("path", { class: "outline", d: outline(heights[1], top) }) : null,
  );
  const keys = element("ul", {}, element("li", { class: `key-band ${tone}` }, words[0]));
  if (theirs.length) keys.append(element("li", { class: "key-line base" }, words[1]));
  return element("figure", { class: "curve" }, chart, element("figcaption", {}, keys));
}

function scored(values) {
  return values.filter((value) => !Number.isNaN(value));
}

function inWords(values, { decimals }) {
  if (!values.length) return "none scored";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `mean ${number(mean, decimals)} of ${number(values.length, 0)}`;
}

/* Least and most of several lists; a single value gets room on either side. */
function extent(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [null, null];
  const room = low === high ? Math.abs(low) / 2 || 0.5 : 0;
  return [low - room, high + room];
}

function shares(values, low, high) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) {
    counts[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))]++;
  }
  return counts.map((count) => count / Math.max(1, values.length));
}

/* The steps of a histogram, from the axis and back to it. */
function outline(heights, top) {
  const width = (FRAME.right - FRAME.left) / BINS;
  const steps = heights.map((share) => {
    const y = FRAME.bottom - (share / top) * (FRAME.bottom - FRAME.top);
    return `V${y.toFixed(1)}h${width.toFixed(2)}`;
  });
  return `M${FRAME.left} ${FRAME.bottom}${steps.join("")}V${FRAME.bottom}`;
}

function axes(measure, low, high, top) {
  const { left, right, bottom } = FRAME;
  const name = drawing("text", { class: "axis-name", x: 0, y: 11 }, "share of samples");
  const highest = { x: left - 8, y: FRAME.top + 4, "text-anchor": "end" };
  const most = drawing("text", { class: "tick", ...highest }, `${Math.round(100 * top)} %`);
  const line = drawing("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });
  const ends = [low, (low + high) / 2, high].map((value, index) => {
    const at = {
      x: left + ((right - left) * index) / 2,
      y: bottom + 16,
      "text-anchor": ["start", "middle", "end"][index],
    };
    return drawing("text", { class: "tick", ...at }, number(value, measure.decimals));
  });
  const middle = { x: (left + right) / 2, y: FRAME.height - 6, "text-anchor": "middle" };
  const below = drawing("text", { class: "axis-name", ...middle }, shorten(measure.name, 48));
  return [name, most, line, ...ends, below];
}

/* Every sample of an iteration of a run: chosen, sorted and searched; the histogram of their rewards. */

const SHOWN = [
  ["best", "best first"],
  ["worst", "worst first"],
  ["random", "at random"],
  ["number", "in order"],
];
const MOST_PROMPTS = 200;
const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);

class Explorer {
  constructor(runs, lightbox, place) {
    this.runs = runs;
    this.run = runs[0];
    this.lightbox = lightbox;
    this.place = place;
    this.numbers = [];
    place.hidden = false;
    whenNear(place, () => reporting(place, this.start()));
  }

  async start() {
    this.controls = this.made();
    this.offer();
    this.newest();
    this.found = element("output", { class: "muted" });
    this.histogram = element("div", { class: "histogram" });
    this.wall = new Wall({
      label: `${this.run.several} of the iteration`,
      measure: this.run.size ? this.pictureSizes() : this.textSizes(),
      draw: (index) => this.card(this.numbers[index]),
      open: (index) => this.open(index),
    });
    const form = element("form", { class: "controls" }, ...this.fields());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => reporting(form, this.changed(target)));
    this.place.append(form, this.histogram, this.found, this.wall.box);
    await this.update(true);
  }

  made() {
    return {
      run: choice(this.runs.map(({ title }, index) => [index, title])),
      iteration: element("select"),
      order: choice(SHOWN),
      column: element("select"),
      prompt: element("select"),
      promptHas: element("input", { type: "search" }),
      textHas: element("input", { type: "search" }),
    };
  }

  /* The run's iterations and measures to choose from; another run, or a later state of it, may have
     others. */
  offer() {
    const { iterations, measures } = this.run;
    refill(this.controls.iteration, iterations.map((each) => [each.iteration, each.heading]));
    refill(this.controls.column, measures.map((measure, at) => [at, measure.name]));
  }

  newest() {
    this.controls.iteration.value = this.run.newest;
  }

  changed(control) {
    const { run, iteration } = this.controls;
    if (control === run) {
      this.run = this.runs[Number(run.value)];
      this.offer();
      this.newest();
    }
    return this.update(control === run || control === iteration);
  }

  fields() {
    const { run, iteration, order, column, prompt, promptHas, textHas } = this.controls;
    this.promptField = labelled("Prompt", prompt);
    const fields = [
      labelled("Iteration", iteration),
      labelled("Show", order),
      labelled("by", column),
      this.promptField,
      labelled("Prompt has", promptHas),
    ];
    if (this.runs.length > 1) fields.unshift(labelled("Run", run));
    if (!this.run.size) fields.push(labelled("Completion has", textHas));
    return fields;
  }

  pictureSizes() {
    const caption = 3.9 * REM;
    return {
      width: (room) => Math.min(10 * REM, (room - 16) / 2),
      height: (width) => Math.round(width * this.run.aspect + caption),
    };
  }

  textSizes() {
    return { width: () => 20 * REM, height: () => 15 * REM };
  }

  async update(isOther) {
    const { run } = this;
    const iteration = Number(this.controls.iteration.value);
    const set = await run.sampleSet(iteration);
    const base = await this.baseOf(iteration);
    if (run !== this.run || iteration !== Number(this.controls.iteration.value)) return;
    this.set = set;
    if (isOther) this.offerPrompts();
    this.find(base);
    this.wall.show(this.numbers.length);
  }

  /* Which samples are wanted, and how they stand to all others. */
  find(base) {
    this.numbers = ordered(this.set, this.wanted());
    const all = counted(this.set.count, this.run.counted);
    this.found.textContent = `${number(this.numbers.length, 0)} of ${all}`;
    this.drawHistogram(this.set, base);
  }

  async baseOf(iteration) {
    return this.run.hasBase && iteration !== 0 ? this.run.sampleSet(0) : null;
  }

  wanted() {
    const { order, column, prompt, promptHas, textHas } = this.controls;
    return {
      order: order.value,
      column: Number(column.value),
      prompt: prompt.value === "" ? null : this.set.prompts[Number(prompt.value)][0],
      promptHas: promptHas.value,
      textHas: textHas.value,
    };
  }

  /* The prompts of this iteration to choose from; many are found by what they say alone. */
  offerPrompts() {
    const { prompts } = this.set;
    const options = prompts.map(([text], index) => [index, shorten(text, 80) || "(empty prompt)"]);
    this.promptField.hidden = prompts.length > MOST_PROMPTS;
    const offered = this.promptField.hidden ? [] : options;
    refill(this.controls.prompt, [["", "all"], ...offered]);
  }

  drawHistogram(set, base) {
    const column = Number(this.controls.column.value);
    const measure = this.run.measures[column];
    this.histogram.replaceChildren();
    if (!measure) return;
    const heading = this.run.heading(set.iteration);
    const values = base === null ? null : base.values[column];
    this.histogram.append(histogram(measure, heading, set.values[column], values));
  }

  card(at) {
    const column = Number(this.controls.column.value);
    const measure = this.run.measures[column];
    const prompt = this.set.promptOf(at);
    const value = measure ? number(this.set.values[column][at], measure.decimals) : "";
    const passed = testsPassed(this.set.resultsOf(at));
    return [
      miniature(this.sample(at), ""),
      element("span", { class: `value ${measure?.section}` }, value, passed),
      promptText(shorten(prompt, MOST_SHOWN), "caption"),
    ];
  }

  sample(at) {
    return { run: this.run, set: this.set, at };
  }

  open(index) {
    const list = { count: this.numbers.length, at: (at) => this.sample(this.numbers[at]) };
    this.lightbox.open(list, index, (last) => this.wall.focus(last));
  }
}

/* The page has been read: its parts take their places. It shows one run, or several together. */

/* What shows the samples of one run: nothing, until there are some. */
class Samples {
  show(summary) {
    if (this.run) this.run.take(summary);
    else this.run = new Run(summary);
    showPixels([this.run]);
    if (this.rows || !this.run.iterations.length) return;
    const lightbox = new Lightbox();
    this.rows = new Rows(ofOne(this.run), lightbox, document.getElementById("rows"));
    this.explorer = new Explorer([this.run], lightbox, document.getElementById("explorer"));
  }
}

const samples = new Samples();

document.addEventListener("DOMContentLoaded", async () => {
  document.querySelector("body > header").append(themeSwitch());
  const place = document.getElementById("rows");
  try {
    if ("comparison" in place.dataset) await showSeveral(await load("runs"), place);
    else samples.show(await load("summary"));
  } catch (error) {
    place.before(element("p", { class: "muted", role: "alert" }, error.message));
  }
});

async function showSeveral(together, place) {
  const runs = await Promise.all(together.titles.map((title, index) => Run.read(index + 1, title)));
  showPixels(runs);
  const sampled = runs.filter((run) => run.iterations.length);
  if (!sampled.length) return;
  const lightbox = new Lightbox();
  new RunGrid(runs, together, lightbox, place);
  new Explorer(sampled, lightbox, document.getElementById("explorer"));
}

function showPixels(runs) {
  document.body.classList.toggle("pixels", runs.every((run) => run.isSmall));
}

/* The grid of one run: a column an iteration. */
function ofOne(run) {
  const columns = run.columns.map((iteration) => new Column(run, iteration));
  return { name: "Samples by iteration", columns };
}

})();
